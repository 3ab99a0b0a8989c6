/** `/apps/…`: an application's secret, who looks after it, its end, as a browser without JavaScript sees them. */
import * as oauth from "openid-client";
import { beforeEach, expect, test } from "vitest";
import { Agent, type Page } from "../support/agent.ts";
import { appOwner } from "../support/app-owner.ts";
import { describeFlows } from "../support/flows.ts";
import { type Person, post, type SeededClient, signIn } from "../support/grantor.ts";
import { waitFor } from "../support/wait-for.ts";

/** That one account looks after. */
const MOST_APPS = 2;

describeFlows(
  "looking after an application",
  (flow) => {
    const owner = appOwner(flow);
    const { at, open, appPath, copied, submit, owned, signedIn, mailTo } = owner;
    let person: Person;
    let agent: Agent;
    beforeEach(() => {
      ({ person, agent } = owner);
    });

    async function getsTokens(app: SeededClient): Promise<boolean> {
      const configuration = await oauth.discovery(new URL(flow.grantor.url), app.client_id, app.client_secret, undefined, {
        execute: [oauth.allowInsecureRequests],
      });
      return oauth.clientCredentialsGrant(configuration).then(
        () => true,
        () => false,
      );
    }

    test("two secrets count side by side for as long as the owner says, and the former ends when they say so", async () => {
      const app = await owned(person, { type: "service" });
      const page = await open(appPath(app, "/secret"));
      expect(page.text).toContain("It is the only one that works.");
      const wrong = await submit(page, "/secret", { overlap: "12" });
      expect([wrong.status, wrong.text.includes('id="overlap-error"')]).toEqual([400, true]);
      // Pressed twice: one secret, which is shown whichever of the answers the browser goes by, and the one before goes on.
      const { action = "", fields = {} } = page.forms.find((form) => form.action.endsWith("/secret")) ?? {};
      const send = () => agent.send(action, { method: "POST", body: new URLSearchParams({ ...fields, overlap: "86400" }) });
      const answers = await Promise.all([send(), send()]);
      for (const { status, headers } of answers) expect([status, headers.get("location")]).toEqual([303, appPath(app, "/secret")]);
      agent.receive(answers[1], action);
      const rotated = await open(appPath(app, "/secret"));
      const second = { ...app, client_secret: copied(rotated, "client_secret") };
      expect(second.client_secret).toMatch(/^[\w-]{43}$/);
      expect(rotated.url).toBe(at(appPath(app, "/secret")));
      for (const secret of [app, second]) expect(await getsTokens(secret)).toBe(true);
      const again = await open(appPath(app, "/secret"));
      expect(again.text).not.toContain(second.client_secret);
      await mailTo(person.email, "made a new secret");
      const ended = await submit(again, "/secret/end");
      expect(ended.text).toContain("does not work any more");
      expect([await getsTokens(app), await getsTokens(second)]).toEqual([false, true]);
      const third = { ...app, client_secret: copied(await submit(ended, "/secret", { overlap: "0" }), "client_secret") };
      expect([await getsTokens(second), await getsTokens(third)]).toEqual([false, true]);
      // What was ordered of a secret before is not done to the one that there is.
      for (const path of ["/secret", "/secret/end"]) {
        const late = await submit(again, path, { overlap: "0" });
        expect([path, late.status, late.text.includes("another secret was made meanwhile")]).toEqual([path, 409, true]);
      }
      expect(await getsTokens(third)).toBe(true);
    });

    test("nobody else sees any of it, and a sign-in from long ago does not do", async () => {
      const app = await owned(person);
      const stranger = (await signedIn()).agent;
      const paths = ["/secret", "/owners", "/delete", "/failures", "/try", "/try/run", "/try/callback?code=x&state=y"];
      for (const path of paths) expect([path, (await open(appPath(app, path), stranger)).status]).toEqual([path, 404]);
      const nobody = await open(appPath(app, "/secret"), new Agent());
      expect(nobody.text).toContain('name="password"');
      const forms = [await open(appPath(app, "/secret")), await open(appPath(app, "/owners"))];
      await flow.later(3_600, async () => {
        for (const form of forms) expect((await agent.submit(form, { overlap: "0" }, 0)).text).toContain('name="password"');
      });
      expect(await flow.grantor.services.clients.checkSecret(app.client_id, app.client_secret as string)).toBe(true);
      // A form that is not from a page of ours.
      for (const path of ["/secret", "/secret/end", "/owners/remove", "/delete", "/try", "/try/end"]) {
        const response = await agent.request(at(appPath(app, path)), { method: "POST", body: new URLSearchParams({ overlap: "0" }) });
        expect([path, response.status]).toEqual([path, 403]);
      }
    });

    test("an application is shared by a link that counts once, for its address alone; everybody is told; the last one stays", async () => {
      const app = await owned(person, { metadata: { client_name: "Shared notes" } });
      const other = await signedIn();
      const third = await signedIn();
      const page = await open(appPath(app, "/owners"));
      for (const email of ["nobody", person.email.toUpperCase()]) expect((await submit(page, "/owners", { email })).status).toBe(400);
      const [known, unknown] = await Promise.all(
        [other.person.email, "stranger@example.org"].map((email) => submit(page, "/owners", { email })),
      );
      for (const sent of [known, unknown]) expect(sent?.text).toContain("The invitation is on its way");
      const { accounts, ownerInvitations } = flow.grantor.services.people;
      const inviter = await accounts.get(person.id);
      for (let n = 2; n < 30; n++) await ownerInvitations.send(inviter, `another-${n}`, `somebody-${n}@example.org`, {});
      expect((await submit(page, "/owners", { email: "one-too-many@example.org" })).status).toBe(429);
      const mail = await mailTo(other.person.email, "/apps/invitation?token=");
      expect(mail).not.toContain("Shared notes"); // whatever somebody typed does not go to an address of their choice
      const link = /http\S+\/apps\/invitation\?token=[\w-]+/.exec(mail)?.[0] ?? "";

      const elsewhere = await third.agent.open(link);
      expect([elsewhere.status, elsewhere.text.includes("was not sent to")]).toEqual([400, true]);
      const invited = await other.agent.open(link);
      expect(invited.url).toBe(at("/apps/invitation"));
      expect(invited.text).toContain("Shared notes");
      expect((await open(appPath(app, ""), other.agent)).status).toBe(404); // a link alone changes nothing
      // For what was shown alone, whatever link was opened in another tab since; and pressed twice it is accepted once.
      expect((await submit(invited, "/apps/invitation", { client_id: "another" }, other.agent)).status).toBe(400);
      const [, joined] = await Promise.all([1, 2].map(() => submit(invited, "/apps/invitation", {}, other.agent)));
      expect([joined?.status, joined?.text.includes("You look after this application now.")]).toEqual([200, true]);
      expect((await other.agent.open(link)).status).toBe(400);
      await mailTo(person.email, "accepted an invitation");

      // The other invitation is withdrawn, and its link is dead.
      const strangersLink =
        /http\S+\/apps\/invitation\?token=[\w-]+/.exec(await mailTo("stranger@example.org", "/apps/invitation"))?.[0] ?? "";
      const pending = await open(appPath(app, "/owners"), other.agent);
      expect(pending.text).toContain("stranger@example.org");
      expect((await submit(pending, "/owners/withdraw", {}, other.agent)).text).not.toContain("stranger@example.org");
      expect((await agent.open(strangersLink)).status).toBe(400);

      // One removes the other, who cannot come back by an invitation of their own.
      const team = await open(appPath(app, "/owners"), other.agent);
      const removed = await submit(team, "/owners/remove", {}, other.agent);
      expect(removed.text).toContain("Removed.");
      await mailTo(person.email, "removed you");
      expect((await open(appPath(app, ""))).status).toBe(404);
      const last = await submit(team, "/owners/remove", { owner: other.person.id }, other.agent);
      expect([last.status, last.text.includes("You are the only one")]).toEqual([409, true]);
    });

    test("whoever looks after as many as they may makes room before they accept, and the link waits for them", async () => {
      const app = await owned(person);
      const other = await signedIn();
      const others = await Promise.all(Array.from({ length: MOST_APPS }, () => owned(other.person)));
      await submit(await open(appPath(app, "/owners")), "/owners", { email: other.person.email });
      const link = /http\S+\/apps\/invitation\?token=[\w-]+/.exec(await mailTo(other.person.email, "/apps/invitation?token="))?.[0] ?? "";
      const invited = await other.agent.open(link);
      const full = await submit(invited, "/apps/invitation", {}, other.agent);
      expect([full.status, full.text.includes("as many applications as one person may")]).toEqual([409, true]);
      await flow.grantor.services.clients.delete(others[0]?.client_id ?? "");
      expect((await submit(invited, "/apps/invitation", {}, other.agent)).text).toContain("You look after this application now.");
    });

    test("an application goes when its name was typed, with its tokens, and everybody is told", async () => {
      const app = await owned(person, { metadata: { client_name: "Old  notes" } });
      const { tokens } = await signIn(flow.grantor, app, person, { agent });
      const page = await open(appPath(app, "/delete"));
      const wrong = await submit(page, "/delete", { name: "Notes" });
      expect([wrong.status, wrong.text.includes('id="name-error"')]).toEqual([400, true]);
      const gone = await submit(page, "/delete", { name: " old notes".replace("old", "Old") });
      expect([gone.url, gone.text.includes("The application is deleted.")]).toEqual([at("/apps?done=deleted"), true]);
      expect((await post(at("/oauth/token"), app, { grant_type: "refresh_token", refresh_token: tokens.refresh_token ?? "" })).status).toBe(
        401,
      );
      await mailTo(person.email, "deleted the application");
    });

    test("an application of somebody who deletes their account is named to them before, and in their data", async () => {
      await owned(person, { metadata: { client_name: "Only mine" } });
      expect((await open("/account/delete")).text).toContain("Only mine");
      const data = await submit(await open("/account/data"), "/account/data");
      expect(JSON.parse(data.text)).toMatchObject({ own_applications: [{ name: "Only mine", only_owner: true }] });
    });

    test("a suspended application stays as it is", async () => {
      const app = await owned(person);
      const pages = await Promise.all(["/secret", "/owners", "/delete", "/try"].map((path) => open(appPath(app, path))));
      await flow.grantor.services.clients.suspend(app.client_id);
      await waitFor("the server to hear of it", async () => (await open(appPath(app, ""))).text.includes("suspended"));
      const [secret, owners, end, trial] = pages as [Page, Page, Page, Page];
      const statuses = [
        (await submit(secret, "/secret", { overlap: "0" })).status,
        (await submit(owners, "/owners", { email: "bob@example.org" })).status,
        (await submit(end, "/delete", { name: "Test application" })).status,
        (await submit(trial, "/try")).status,
      ];
      expect(statuses).toEqual([409, 409, 409, 409]);
      expect((await submit(secret, "/secret", { overlap: "0" })).text).toContain("An operator has suspended this application");
      for (const path of ["/secret", "/owners", "/delete", "/try"])
        expect((await open(appPath(app, path))).forms.filter(({ action }) => action.includes("/apps/"))).toEqual([]);
    });
  },
  { env: { APPS_PER_PERSON: `${MOST_APPS}` } },
);
