#!/usr/bin/env bash
# Signs a person in on a device without a browser: they type a code into the browser of another one.
set -euo pipefail

issuer="{{issuer}}"
client_id="{{client_id}}"
scope="{{scope}}"
resource="{{resource}}" # whom the access token is for
api_url="{{api_url}}"

member() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" <<<"$2"; }
post() { curl -sS --data-urlencode "client_id=$client_id" "$@"; }

answer=$(post "$issuer/oauth/device" --data-urlencode "scope=$scope" --data-urlencode "resource=$resource")
device_code=$(member device_code "$answer")
[[ -n "$device_code" ]] || { echo "Not begun: $answer" >&2; exit 1; }
echo "Open $(member verification_uri "$answer") and enter the code $(member user_code "$answer")"

# The answer comes when the person has decided; until then we ask again, not more often than we are told.
interval=$(member interval "$answer")
interval=${interval:-5}
while true; do
  sleep "$interval"
  tokens=$(post "$issuer/oauth/token" --data-urlencode grant_type=urn:ietf:params:oauth:grant-type:device_code -d "device_code=$device_code")
  case $(member error "$tokens") in
    "") break ;;
    authorization_pending) ;;
    slow_down) interval=$((interval + 5)) ;;
    *) echo "Not signed in: $tokens" >&2; exit 1 ;;
  esac
done
access_token=$(member access_token "$tokens")
refresh_token=$(member refresh_token "$tokens")

call_api() { printf 'header = "Authorization: Bearer %s"\n' "$access_token" | curl -sS --config - -w '\n' "$api_url"; }
echo "The API answers:"
call_api

# The refresh token keeps the device signed in. Each works once: keep the newest.
if [[ -n "$refresh_token" ]]; then
  tokens=$(post "$issuer/oauth/token" -d grant_type=refresh_token -d "refresh_token=$refresh_token" --data-urlencode "resource=$resource")
  access_token=$(member access_token "$tokens")
  echo "Refreshed, the API answers:"
  call_api
fi
