# Gets an access token for the application itself, without a person (client credentials), and calls the API.
import os

import requests
from authlib.integrations.requests_client import OAuth2Session

ISSUER = "{{issuer}}"
RESOURCE = "{{resource}}"  # whom the access token is for

metadata = requests.get(ISSUER + "/.well-known/oauth-authorization-server", timeout=10).json()
oauth = OAuth2Session(
    "{{client_id}}",
    os.environ["CLIENT_SECRET"],
    scope="{{api_scopes}}",
    token_endpoint=metadata["token_endpoint"],
    leeway=0,  # we renew it ourselves: authlib would not name the resource
    default_timeout=10,
)


def call_api():
    """One token serves many calls; there is no refresh token, a new one is asked for."""
    if oauth.token is None or oauth.token.is_expired(leeway=10):
        oauth.fetch_token(resource=RESOURCE)
    return oauth.get("{{api_url}}")


answer = call_api()
print(f"The API answers {answer.status_code}: {answer.text}")
