// An API that checks access tokens by itself: signature, issuer, audience, times, kind and scope.
import { createRemoteJWKSet, errors, jwtVerify } from "jose";
import Koa from "koa";

const issuer = "{{issuer}}";
const audience = "{{resource}}"; // who this API is
const scope = "{{api_scope}}"; // what may be done here

const metadata = await (await fetch(`${issuer}/.well-known/oauth-authorization-server`)).json();
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri)); // fetched once, and again when a new key signs

async function requireToken(ctx, next) {
  const [scheme, token] = ctx.get("Authorization").split(" ");
  if (scheme.toLowerCase() !== "bearer" || !token) return refuse(ctx, 401, "Bearer");
  try {
    const { payload } = await jwtVerify(token, keys, { issuer, audience, typ: "at+jwt", requiredClaims: ["sub", "exp"] });
    ctx.state.token = payload;
  } catch (error) {
    if (!(error instanceof errors.JOSEError) || error instanceof errors.JWKSTimeout) throw error; // not the token's fault
    return refuse(ctx, 401, 'Bearer error="invalid_token"');
  }
  const allowed = String(ctx.state.token.scope).split(" ").includes(scope);
  return allowed ? next() : refuse(ctx, 403, `Bearer error="insufficient_scope", scope="${scope}"`);
}

function refuse(ctx, status, challenge) {
  ctx.status = status;
  ctx.set("WWW-Authenticate", challenge);
  ctx.body = { status };
}

const app = new Koa();
// Pages of other origins may call: nothing here depends on a cookie.
app.use((ctx, next) => {
  ctx.set({ "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "Authorization", "Cache-Control": "no-store" });
  if (ctx.method !== "OPTIONS") return next();
  ctx.status = 204;
});
app.use(requireToken);
app.use((ctx) => {
  const { sub, scope } = ctx.state.token;
  ctx.body = { message: "Hello", sub, scope };
});

const { port } = new URL("{{api_url}}");
app.listen(Number(port), () => console.log(`The API for ${audience} listens on port ${port}`));
