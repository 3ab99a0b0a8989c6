#!/usr/bin/env bash
# Signs a person in with the authorization code flow and PKCE, by hand: to see every step, or to try an API.
set -euo pipefail

issuer="{{issuer}}"
client_id="{{client_id}}"
redirect_uri="{{redirect_uri}}"
scope="{{scope}}"
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
random() { openssl rand -base64 "$1" | tr -d '\n=' | tr '+/' '-_'; }
# A confidential application says its secret; a public one only its name. Never on the command line, which others on this machine can see.
token_request() {
  if [[ -n "${CLIENT_SECRET:-}" ]]; then
    printf 'user = "%s:%s"\n' "$(encode "$client_id")" "$(encode "$CLIENT_SECRET")" | curl -sS --config - "$@"
  else
    curl -sS --data-urlencode "client_id=$client_id" "$@"
  fi
}

# 1. The browser goes to the server, with a challenge whose answer only we know (PKCE).
state=$(random 16)
code_verifier=$(random 32)
code_challenge=$(printf %s "$code_verifier" | openssl dgst -sha256 -binary | openssl base64 | tr -d '\n=' | tr '+/' '-_')
echo "Open this address in a browser and sign in:"
echo
echo "$issuer/oauth/authorize?response_type=code&client_id=$(encode "$client_id")&redirect_uri=$(encode "$redirect_uri")&scope=$(encode "$scope")&resource=$(encode "$resource")&state=$state&code_challenge=$code_challenge&code_challenge_method=S256"
echo
echo "It ends at $redirect_uri, where perhaps no page is. Copy the address from the address bar and paste it here:"
read -r answer
[[ "$answer" == *"state=$state"* ]] || { echo "That is not the answer to this request." >&2; exit 1; }
code=$(sed -n 's/.*[?&]code=\([^&]*\).*/\1/p' <<<"$answer")
[[ -n "$code" ]] || { echo "There is no code in it: $answer" >&2; exit 1; }

# 2. The code becomes tokens.
tokens=$(token_request "$issuer/oauth/token" -d grant_type=authorization_code -d "code=$code" \
  --data-urlencode "redirect_uri=$redirect_uri" -d "code_verifier=$code_verifier")
access_token=$(member access_token "$tokens")
refresh_token=$(member refresh_token "$tokens")
[[ -n "$access_token" ]] || { echo "No tokens: $tokens" >&2; exit 1; }

# 3. The API is called with the access token.
call_api() { printf 'header = "Authorization: Bearer %s"\n' "$access_token" | curl -sS --config - -w '\n' "$api_url"; }
echo "The API answers:"
call_api

# 4. A refresh token gives a new access token, and the refresh token that comes with it replaces it.
if [[ -n "$refresh_token" ]]; then
  tokens=$(token_request "$issuer/oauth/token" -d grant_type=refresh_token -d "refresh_token=$refresh_token" --data-urlencode "resource=$resource")
  access_token=$(member access_token "$tokens")
  refresh_token=$(member refresh_token "$tokens")
  echo "Refreshed, the API answers:"
  call_api

  # 5. Who is done gives back what is left: everything of this sign-in ends.
  token_request "$issuer/oauth/revoke" -d "token=$refresh_token"
  echo "Revoked."
fi
