# Signs people in with OpenID Connect, calls an API in their name, and signs them out.
import json
import os
import secrets
from urllib.parse import urlencode, urlsplit

from authlib.integrations.flask_client import OAuth, OAuthError
from flask import Flask, redirect, session
from markupsafe import escape

ISSUER = "{{issuer}}"
CLIENT_ID = "{{client_id}}"
REDIRECT_URI = "{{redirect_uri}}"
POST_LOGOUT_REDIRECT_URI = "{{post_logout_redirect_uri}}"
RESOURCE = "{{resource}}"  # whom the access token is for
API_URL = "{{api_url}}"
here = urlsplit(REDIRECT_URI)

app = Flask(__name__)
app.secret_key = os.environ.get("SESSION_SECRET") or secrets.token_hex(32)
app.config.update(SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_SECURE=here.scheme == "https")
sign_ins = {}  # In memory, which is enough for one process: put it into a store of your own.


def current():
    return sign_ins.get(session.get("id"))


def update_token(name, token, refresh_token=None, access_token=None):
    current()["token"] = {**current()["token"], **token}  # each refresh token works once: keep the newest


# PKCE, state, nonce and the ID token are checked by authlib.
oauth = OAuth(app, update_token=update_token)
oauth.register(
    name="grantor",
    client_id=CLIENT_ID,
    client_secret=os.environ["CLIENT_SECRET"],
    server_metadata_url=ISSUER + "/.well-known/openid-configuration",
    client_kwargs={"scope": "{{scope}}", "code_challenge_method": "S256"},
)


@app.get("/")
def home():
    if current() is None:
        return '<h1>Quick start</h1><p><a href="/sign-in">Sign in</a></p>'
    return f"""<h1>Signed in</h1>{block(current()["claims"])}
      <p><a href="/call-api">Call the API</a></p><form method="post" action="/sign-out"><button>Sign out</button></form>"""


@app.get("/sign-in")
def sign_in():
    return oauth.grantor.authorize_redirect(REDIRECT_URI, resource=RESOURCE)


@app.get(here.path)
def callback():
    token = oauth.grantor.authorize_access_token()
    session.clear()
    session["id"] = secrets.token_urlsafe(32)
    sign_ins[session["id"]] = {"claims": token.pop("userinfo"), "token": token}
    return redirect("/")


@app.get("/call-api")
def call_api():
    if current() is None:
        return redirect("/")
    answer = oauth.grantor.get(API_URL, token=current()["token"])  # refreshes the token when its time is over
    return f'<h1>The API answers {answer.status_code}</h1>{block(answer.json())}<p><a href="/">Back</a></p>'


@app.post("/sign-out")
def sign_out():
    signed_in = sign_ins.pop(session.pop("id", None), None)
    if signed_in is None:
        return redirect("/", 303)
    hint = {"id_token_hint": signed_in["token"]["id_token"], "post_logout_redirect_uri": POST_LOGOUT_REDIRECT_URI}
    return redirect(f"{oauth.grantor.load_server_metadata()['end_session_endpoint']}?{urlencode(hint)}", 303)


@app.errorhandler(OAuthError)
def failed(error):  # such as access_denied: somebody did not allow it
    return f'<h1>That did not work</h1>{block(error.error)}<p><a href="/">Back</a></p>', 502


def block(value):
    return f"<pre>{escape(json.dumps(value, indent=2))}</pre>"


if __name__ == "__main__":
    app.run(host=here.hostname, port=here.port)
