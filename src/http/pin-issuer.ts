import type Koa from "koa";

/**
 * Builds everything that a Koa application says about itself from the configured issuer, whatever `Host` and the forwarded headers
 * say: URLs in metadata, redirects and Secure cookies. Without it `Host: evil.example` makes the engine print evil.example's URLs.
 * Call it on the outer application and on every `Provider` (it makes contexts of its own).
 * @param issuer an origin, without a trailing slash
 */
export function pinIssuer(app: Pick<Koa, "request">, issuer: string): void {
  const { protocol, host, hostname, origin } = new URL(issuer);
  const pinned: PropertyDescriptorMap = {
    protocol: { get: () => protocol.slice(0, -1) },
    secure: { get: () => protocol === "https:" },
    host: { get: () => host },
    hostname: { get: () => hostname },
    origin: { get: () => origin },
    // Koa takes it from the request line when that holds a whole URL, which is as much the sender's word as Host.
    href: {
      get(this: Koa.Request): string {
        if (this.originalUrl.startsWith("/")) return origin + this.originalUrl;
        const { pathname, search } = URL.canParse(this.originalUrl) ? new URL(this.originalUrl) : { pathname: "/", search: "" };
        return origin + pathname + search;
      },
    },
    ip: {
      get(this: Koa.Request): string {
        return (this.ctx.state as { client?: { address: string } }).client?.address ?? this.req.socket.remoteAddress ?? "";
      },
    },
  };
  for (const name of Object.keys(pinned)) Object.assign(pinned[name] as PropertyDescriptor, { configurable: true, enumerable: true });
  Object.defineProperties(app.request, pinned);
}
