#!/usr/bin/env bash
# Gets an access token for the application itself, without a person (client credentials), and calls the API.
set -euo pipefail
: "${CLIENT_SECRET:?Set CLIENT_SECRET}"

issuer="{{issuer}}"
client_id="{{client_id}}"
scope="{{api_scopes}}"
resource="{{resource}}" # whom the access token is for
api_url="{{api_url}}"

encode() { # percent-encoding
  local LC_ALL=C i c
  for ((i = 0; i < ${#1}; i++)); do
    c=${1:i:1}
    case $c in [a-zA-Z0-9.~_-]) printf %s "$c" ;; *) printf %%%02X "'$c" ;; esac
  done
}
member() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" <<<"$2"; }
# Not on the command line, which others on this machine can see.
token_request() { printf 'user = "%s:%s"\n' "$(encode "$client_id")" "$(encode "$CLIENT_SECRET")" | curl -sS --config - "$@"; }

tokens=$(token_request "$issuer/oauth/token" -d grant_type=client_credentials \
  --data-urlencode "scope=$scope" --data-urlencode "resource=$resource")
access_token=$(member access_token "$tokens")
[[ -n "$access_token" ]] || { echo "No token: $tokens" >&2; exit 1; }

# It can be used again until expires_in seconds are over; then ask for a new one. There is no refresh token.
echo "The API answers:"
printf 'header = "Authorization: Bearer %s"\n' "$access_token" | curl -sS --config - -w '\n' "$api_url"

token_request "$issuer/oauth/revoke" -d "token=$access_token"
echo "Revoked."
