#!/usr/bin/env bash
# Asks the server whether an access token is good (introspection, RFC 7662): for an API that cannot check tokens by itself.
# The API is a client of its own, which an operator lets introspect this resource's tokens: CLIENT_ID and CLIENT_SECRET are the API's.
set -euo pipefail
: "${CLIENT_ID:?Set CLIENT_ID}" "${CLIENT_SECRET:?Set CLIENT_SECRET}"

issuer="{{issuer}}"
audience="{{resource}}" # who this API is
scope="{{api_scope}}"   # what may be done here

encode() { # percent-encoding
  local LC_ALL=C i c
  for ((i = 0; i < ${#1}; i++)); do
    c=${1:i:1}
    case $c in [a-zA-Z0-9.~_-]) printf %s "$c" ;; *) printf %%%02X "'$c" ;; esac
  done
}

echo "Paste an access token:" >&2
read -rs token
# Neither the token nor the secret is on the command line, which others on this machine can see.
answer=$(printf 'user = "%s:%s"\ndata = "token=%s"\n' "$(encode "$CLIENT_ID")" "$(encode "$CLIENT_SECRET")" "$(encode "$token")" |
  curl -sS --fail-with-body --config - "$issuer/oauth/introspect")
echo "$answer"

if [[ "$answer" != *'"active":true'* ]]; then
  echo "401: the token is not good (any more)" && exit 1
elif [[ "$answer" != *"\"aud\":\"$audience\""* ]]; then
  echo "401: the token is for another API" && exit 1
elif [[ " $(sed -n 's/.*"scope":"\([^"]*\)".*/\1/p' <<<"$answer") " != *" $scope "* ]]; then
  echo "403: the token does not have the scope $scope" && exit 1
fi
echo "200: let it in"
