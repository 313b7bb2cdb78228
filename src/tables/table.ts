/**
 * A table as it is rendered: its name, its kind, its lines. What Postfix refers to by these names stands in the contract,
 * section 7; here is the one list of them.
 */
import { policyName, type Transport } from '../route/transport.ts';
import { CIPHER_GRADES, LEVELS, TLS_VERSIONS } from '../settings/level.ts';

/**
 * - indexed: compiled by postmap(1), in the type that the administrator chose.
 * - cidr, regexp: read by Postfix as text (cidr_table(5), regexp_table(5)).
 */
export type TableKind = 'indexed' | 'cidr' | 'regexp';

/** Some thousand lines, each with its end. */
export interface Chunk {
  readonly text: string;
  readonly lines: number;
}

/** A table that is to be written; its name is the file's. */
export interface Table {
  readonly name: string;
  readonly kind: TableKind;
  /** The lines, in one order for the same settings. Each call begins anew. */
  readonly text: () => Iterable<Chunk>;
}

/** For smtp_tls_policy_maps: domain → level and attributes. */
export const TLS_POLICY = 'tls_policy';
/** For transport_maps: recipient or domain → transport and next hop. */
export const TRANSPORT = 'transport';
/** For sender_dependent_default_transport_maps: sender or `@domain` → transport, without a next hop. */
export const SENDER_TRANSPORT = 'sender_transport';
/** For check_recipient_access: recipient or domain → {@link RECEIPT_CLASS}, or DUNNO. */
export const RECEIPT_ACCESS = 'receipt_access';
/**
 * For check_client_access within {@link RECEIPT_CLASS}: exempt clients → DUNNO, all others → reject_plaintext_session.
 */
export const RECEIPT_CLIENTS = 'receipt_clients';
/** For smtp_delivery_status_filter of transports that bounce: what has no TLS fails for good. */
export const BOUNCE_FILTER = 'bounce_filter';

/** The restriction class that receipt_access names. */
export const RECEIPT_CLASS = 'tlswarden_tls';

const REQUIRED_PREFIX = 'tls_policy_required_';

/**
 * The table of next hops for transports of one policy. There is one for each: an entry overrides a transport's level, so
 * one for all levels would weaken some and strengthen others.
 */
export function requiredTableName(transport: Transport): string {
  return `${REQUIRED_PREFIX}${policyName(transport)}`;
}

const transportsByTable: ReadonlyMap<string, Transport> = new Map(
  LEVELS.flatMap((level) =>
    [undefined, ...TLS_VERSIONS].flatMap((minProtocol) =>
      [undefined, ...CIPHER_GRADES].map((ciphers): [string, Transport] => {
        const transport = { level, minProtocol, ciphers, bounce: false };
        return [requiredTableName(transport), transport];
      }),
    ),
  ),
);

/** The policy whose table has this name, or undefined if it is no such name. */
export function transportOfTable(name: string): Transport | undefined {
  return transportsByTable.get(name);
}
