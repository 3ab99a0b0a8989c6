/** When a person is asked: the engine's own policy, a surer sign-in where one is demanded, and consent on every device authorization. */
import { interactionPolicy, type KoaContextWithOIDC } from "oidc-provider";
import { reaches } from "../factors/assurance.ts";
import { demandedOf } from "./demands.ts";
import { isDeviceRoute } from "./grants.ts";
import type { Person } from "./ports.ts";

const { Check, base } = interactionPolicy;

/** Why the sign-in is asked for: the one that there is does not reach what is demanded. Alone, it asks for what is missing and no more. */
export const STEP_UP = "step_up";

export function createInteractionPolicy() {
  const policy = base();
  // Disabled or deleted while its session, or its sign-in, was still under way.
  policy
    .get("login")
    ?.checks.add(
      new Check("no_account", "End-User authentication is required", "login_required", ({ oidc }) =>
        oidc.session?.accountId !== undefined && oidc.account === undefined ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT,
      ),
    );
  // RFC 9470 §5: of a remembered session as well, and with `prompt=none` it is an error.
  policy
    .get("login")
    ?.checks.add(
      new Check(STEP_UP, "the End-User is not signed in as surely as this needs", "unmet_authentication_requirements", ({ oidc }) =>
        oidc.session?.accountId !== undefined && !reaches(oidc.session.acr, demandedBy(oidc))
          ? Check.REQUEST_PROMPT
          : Check.NO_NEED_TO_PROMPT,
      ),
    );
  // RFC 8628 §5.4: whoever types a code must see what they let in, each time.
  policy
    .get("consent")
    ?.checks.add(
      new Check("device_authorization", "a device must be approved by the End-User each time", "interaction_required", ({ oidc }) =>
        isDeviceRoute(oidc) && !oidc.result?.consent ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT,
      ),
    );
  return policy;
}

const demandedBy = ({ params, client, account }: KoaContextWithOIDC["oidc"]) =>
  demandedOf({ client, person: account as Pick<Person, "requiresSecondFactor"> | undefined, asked: params?.acr_values });
