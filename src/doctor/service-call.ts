/**
 * A call of a policy service as it stands among restrictions (SMTPD_POLICY_README): `check_policy_service inet:host:port`,
 * or with attributes in braces. Pure.
 */
import { DEFAULT_ACTION, wordsOfCall } from '../fragments/ours.ts';
import { normalServiceAddress } from '../fragments/policy-service.ts';
import { HOPS, type Hop } from '../settings/setting.ts';
import type { MasterService, PostfixConfiguration } from './postfix-configuration.ts';

/** A check_policy_service with what holds for it: its own attributes, or the parameters of smtpd(8). */
export interface ServiceCall {
  /** `inet:127.0.0.1:10040`, normalised. */
  readonly address: string;
  /** As it stands there. */
  readonly written: string;
  /** What it asks about by policy_context; undefined: both hops. */
  readonly hop: Hop | undefined;
  /** What Postfix does if the service does not answer. */
  readonly defaultAction: string;
}

/** The call that a restriction is, or undefined. */
export function readCall(
  restriction: string,
  postfix: PostfixConfiguration,
  service?: MasterService,
): ServiceCall | undefined {
  const words = wordsOfCall(restriction);
  if (words === undefined) return undefined;
  const [written = '', ...options] = words;
  const attributes = new Map(options.map(readAttribute));
  const context = attributes.get('policy_context') ?? postfix.value('smtpd_policy_service_policy_context', service);
  return {
    written,
    address: normalServiceAddress(written, postfix.value('queue_directory')),
    hop: HOPS.find((hop) => hop === context),
    defaultAction: attributes.get('default_action') ?? postfix.value('smtpd_policy_service_default_action', service),
  };
}

/** `name = value`, in braces or not. */
function readAttribute(text: string): readonly [string, string] {
  const bare = text.startsWith('{') ? text.slice(1, -1).trim() : text;
  const equals = bare.indexOf('=');
  return [bare.slice(0, equals).trim(), bare.slice(equals + 1).trim()];
}

/** Whether a call at a foreign address was one of tlswarden. */
export function wasOurs(call: ServiceCall): boolean {
  return `{ default_action = ${call.defaultAction} }` === DEFAULT_ACTION;
}

/** Whether Postfix holds mail up while the service does not answer (access(5)). */
export function holdsUp(defaultAction: string): boolean {
  return /^(?:4\d\d|5\d\d|reject|defer|defer_if_permit)\b/iu.test(defaultAction.trim());
}
