/** The command line by itself: wrong use, and no server at all. */
import { describe, expect, it } from "vitest";
import { grantor as command, grantorJson, grantorProgram } from "../support/command-line.ts";
import { tempDir } from "../support/temp-dir.ts";

describe("the command line", () => {
  it("tells wrong use, with the usage, from what could not be done", async () => {
    const env = { PATH: process.env.PATH ?? "" };
    const wrong = [
      [["nonsense"], "unknown command"],
      [["client"], "Usage: grantor client"],
      [["client", "create", "--name", "X", "--type", "toaster"], "Allowed choices are web, spa, native, service, device"],
      [["client", "create", "--type", "web"], "required option '--name <name>'"],
      [["account", "update", "ada@example.org"], "say what to change"],
      [["registration-token", "create", "--uses", "-1"], "whole number"],
      [["keys", "list", "surplus"], "too many arguments"],
      [
        ["resource", "create", "--audience", "https://api.example", "--alg", "HS512"],
        "Allowed choices are RS256, ES256, PS256, EdDSA, HS256",
      ],
      [["role", "create"], "missing required argument 'name'"],
      [["role", "update", "seller"], "say what to change"],
    ] as const;
    for (const [args, words] of wrong) {
      const { status, stdout, stderr } = await command(env, args);
      expect([status, stdout], args.join(" ")).toEqual([2, ""]);
      expect(stderr).toContain(words);
      expect(stderr).toContain("Usage: grantor");
    }
    expect(await grantorProgram(env, ["client"])).toMatchObject({
      status: 2,
      stdout: "",
      stderr: expect.stringContaining("Usage: grantor client"),
    });
    expect(await grantorProgram(env, ["client", "create", "--help"])).toMatchObject({
      status: 0,
      stderr: "",
      stdout: expect.stringMatching(/--name <name> .*\s+consent \(required\)[\s\S]*--no-pkce/),
    });
    const misconfigured = await grantorProgram({ ...env, PORT: "many" }, ["client", "list"]);
    expect(misconfigured).toMatchObject({ status: 1, stdout: "", stderr: expect.stringContaining("PORT: set") });
  });

  it("works with nothing but a directory, before any server has run there", async () => {
    await using dir = tempDir("command-line");
    const env = { PATH: process.env.PATH ?? "", DATA_DIR: `${dir.path}/data` };
    const { removeCluster } = await import("../../src/storage/embedded-cluster.ts");
    try {
      const { applied } = await grantorJson<{ applied: string[] }>(env, ["migrate"]);
      expect(applied.length).toBeGreaterThan(0);
      expect((await grantorProgram(env, ["migrate"])).stdout).toBe("The database is up to date.\n");
      expect((await command(env, ["keys", "list"])).stdout).toContain("no keys yet");
      const made = await grantorJson(env, ["account", "create", "--email", "first@example.org", "--admin", "--unverified"]);
      expect(made).toMatchObject({ roles: ["admin"], email_verified: false });
      expect((await command(env, ["account", "list"])).stdout).toMatch(
        /^EMAIL +NAME +ROLES +STATE +ID\nfirst@example.org +- +admin +unverified/,
      );
    } finally {
      removeCluster(env.DATA_DIR);
    }
  });
});
