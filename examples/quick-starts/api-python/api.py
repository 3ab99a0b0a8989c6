# An API that checks access tokens by itself: signature, issuer, audience, times, kind and scope.
import json
from functools import wraps
from urllib.parse import urlsplit
from urllib.request import urlopen

import jwt
from flask import Flask, g, request

ISSUER = "{{issuer}}"
AUDIENCE = "{{resource}}"  # who this API is
SCOPE = "{{api_scope}}"  # what may be done here
ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]

with urlopen(ISSUER + "/.well-known/oauth-authorization-server") as answer:
    keys = jwt.PyJWKClient(json.load(answer)["jwks_uri"])  # fetched once, and again when a new key signs

app = Flask(__name__)


def refuse(status, challenge):
    return {"status": status}, status, {"WWW-Authenticate": challenge}


def requires_token(view):
    @wraps(view)
    def checked(*args, **kwargs):
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return refuse(401, "Bearer")
        try:
            key = keys.get_signing_key_from_jwt(token).key
            decoded = jwt.decode_complete(
                token, key, algorithms=ALGORITHMS, issuer=ISSUER, audience=AUDIENCE, options={"require": ["exp", "iss", "aud", "sub"]}
            )
            if decoded["header"].get("typ", "").lower() != "at+jwt":  # RFC 9068: an ID token opens nothing
                raise jwt.InvalidTokenError
        except jwt.PyJWKClientConnectionError:
            raise  # not the token's fault
        except jwt.PyJWTError:
            return refuse(401, 'Bearer error="invalid_token"')
        g.token = decoded["payload"]
        if SCOPE not in g.token.get("scope", "").split():
            return refuse(403, f'Bearer error="insufficient_scope", scope="{SCOPE}"')
        return view(*args, **kwargs)

    return checked


@app.after_request
def open_to_pages(response):
    # Pages of other origins may call: nothing here depends on a cookie.
    response.headers.update({"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "Authorization", "Cache-Control": "no-store"})
    return response


@app.get("/")
@requires_token
def hello():
    return {"message": "Hello", "sub": g.token["sub"], "scope": g.token["scope"]}


if __name__ == "__main__":
    here = urlsplit("{{api_url}}")
    app.run(host=here.hostname, port=here.port)
