# Signs somebody in from a program on their own machine, with their browser (RFC 8252), calls an API in their name, and signs them out.
import json
import secrets
import socket
import sys
import webbrowser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from threading import Thread
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

ISSUER = "{{issuer}}"
CLIENT_ID = "{{client_id}}"
REDIRECT_URI = "{{redirect_uri}}"  # its port is another one at every start
RESOURCE = "{{resource}}"  # whom the access token is for
API_URL = "{{api_url}}"
SIGN_IN_TIME = 600  # seconds
here = urlsplit(REDIRECT_URI)

metadata = requests.get(ISSUER + "/.well-known/openid-configuration", timeout=10).json()
# There is no secret: whoever has this program would have it too. PKCE keeps a code useless to every other program.
# Tokens are in memory. To stay signed in until the next start, keep the refresh token in the system's keychain, never in a plain file.
oauth = OAuth2Session(
    CLIENT_ID,
    scope="{{scope}}",
    code_challenge_method="S256",
    token_endpoint=metadata["token_endpoint"],
    leeway=10,
    default_timeout=10,
)
state, nonce, code_verifier = (secrets.token_urlsafe(32) for _ in range(3))
answers = SimpleQueue()


class Listener(ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in here.hostname else socket.AF_INET


class Callback(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlsplit(self.path)
        answer = dict(parse_qsl(url.query))
        is_ours = url.path == here.path and answer.get("state") == state
        words = b"Close this page and go back to the program." if is_ours else b"This is not what the program waits for."
        self.send_response(200 if is_ours else 404)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(words)))
        self.end_headers()
        self.wfile.write(words)
        if is_ours:
            answers.put(answer)

    def log_message(self, *_):
        pass  # there is a code in the address


def sign_in():
    with Listener((here.hostname, 0), Callback) as listener:
        Thread(target=listener.serve_forever, daemon=True).start()
        host = here.netloc.removesuffix(f":{here.port}")
        oauth.redirect_uri = here._replace(netloc=f"{host}:{listener.server_port}").geturl()
        url, _ = oauth.create_authorization_url(
            metadata["authorization_endpoint"], state=state, nonce=nonce, code_verifier=code_verifier, resource=RESOURCE
        )
        print("Sign in with your browser. If it does not open by itself, open this address:")
        open_browser(url)
        answer = answers.get(timeout=SIGN_IN_TIME)
        listener.shutdown()
    if answer.get("iss") != ISSUER:  # RFC 9207
        raise OAuthError("invalid_issuer", "This is the answer of another server.")
    if "error" in answer:
        raise OAuthError(answer["error"], answer.get("error_description"))
    token = oauth.fetch_token(code=answer.get("code"), code_verifier=code_verifier, resource=RESOURCE)
    keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=10).json())
    id_token = jwt.decode(token["id_token"], keys, algorithms=metadata["id_token_signing_alg_values_supported"])
    claims = CodeIDToken(
        id_token.claims,
        id_token.header,
        {"iss": {"value": ISSUER}, "aud": {"value": CLIENT_ID}},
        {"nonce": nonce, "client_id": CLIENT_ID, "access_token": token["access_token"]},
    )
    claims.validate(leeway=30)
    return claims


def call_api():
    try:
        answer = oauth.get(API_URL)  # refreshes the token when its time is over
        print(f"The API answers {answer.status_code}: {answer.text}")
    except requests.ConnectionError:
        print(f"Nothing answers at {API_URL}")


def sign_out():
    oauth.revoke_token(metadata["revocation_endpoint"]).raise_for_status()  # the refresh token, and so everything of this sign-in
    print("Signed out here. To sign out in the browser too, say so there:")
    # Without the ID token: a command's arguments can be seen by others on this machine.
    open_browser(f"{metadata['end_session_endpoint']}?{urlencode({'client_id': CLIENT_ID})}")


def open_browser(url):
    """Where none opens, the printed address is enough."""
    print(url, flush=True)
    Thread(target=webbrowser.open, args=[url], daemon=True).start()


def wants_more():
    try:
        return input("Enter calls the API again, q signs out: ").strip() != "q"
    except (EOFError, KeyboardInterrupt):
        return False


WORDS = {"access_denied": "It was not allowed.", "invalid_grant": "The sign-in has ended. Start again."}
try:
    print("Signed in:", json.dumps(sign_in(), indent=2))
    call_api()
    while wants_more():
        call_api()
    sign_out()
except Empty:
    sys.exit("That did not work: Nobody has signed in.")
except OAuthError as error:
    sys.exit(f"That did not work: {WORDS.get(error.error) or error.description or error.error}")
except (JoseError, requests.RequestException) as error:
    sys.exit(f"That did not work: {error}")
