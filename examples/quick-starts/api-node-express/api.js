// An API that checks access tokens by itself: signature, issuer, audience, times, kind and scope.
import express from "express";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

const issuer = "{{issuer}}";
const audience = "{{resource}}"; // who this API is
const scope = "{{api_scope}}"; // what may be done here

const metadata = await (await fetch(`${issuer}/.well-known/oauth-authorization-server`)).json();
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri)); // fetched once, and again when a new key signs

async function requireToken(req, res, next) {
  const [scheme, token] = (req.get("Authorization") ?? "").split(" ");
  if (scheme?.toLowerCase() !== "bearer" || !token) return refuse(res, 401, "Bearer");
  try {
    const { payload } = await jwtVerify(token, keys, { issuer, audience, typ: "at+jwt", requiredClaims: ["sub", "exp"] });
    if (!String(payload.scope).split(" ").includes(scope)) return refuse(res, 403, `Bearer error="insufficient_scope", scope="${scope}"`);
    req.token = payload;
  } catch (error) {
    if (!(error instanceof errors.JOSEError) || error instanceof errors.JWKSTimeout) return next(error); // not the token's fault
    return refuse(res, 401, 'Bearer error="invalid_token"');
  }
  next();
}

function refuse(res, status, challenge) {
  res.status(status).set("WWW-Authenticate", challenge).json({ status });
}

const app = express();
// Pages of other origins may call: nothing here depends on a cookie.
app.use((req, res, next) => {
  res.set({ "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "Authorization", "Cache-Control": "no-store" });
  return req.method === "OPTIONS" ? res.sendStatus(204) : next();
});
app.get("/", requireToken, (req, res) => {
  res.json({ message: "Hello", sub: req.token.sub, scope: req.token.scope });
});

const { port } = new URL("{{api_url}}");
app.listen(port, () => console.log(`The API for ${audience} listens on port ${port}`));
