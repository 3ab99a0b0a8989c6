/** When a person is asked: the engine's own policy, and consent on every device authorization. */
import { interactionPolicy } from "oidc-provider";
import { isDeviceRoute } from "./grants.ts";

const { Check, base } = interactionPolicy;

export function createInteractionPolicy() {
  const policy = base();
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
