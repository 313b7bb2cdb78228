/**
 * `tlswarden explain`: what is asked for between one sender and one recipient, by which line of which setting, who
 * enforces it, and what the service would reply. It asks the decision itself; there is no second statement of the rules.
 */
import { isIP } from 'node:net';
import { type Command, Option } from 'commander';
import { Address, type AddressRules } from '../address/address.ts';
import { parseDomain } from '../address/domain-name.ts';
import { explain, type Session } from '../explain/explain.ts';
import { lookAtTables } from '../explain/read-tables.ts';
import type { RecordOf } from '../explain/setting-text.ts';
import { wordExplanation } from '../explain/word-explanation.ts';
import type { MainFile } from '../main-file/main-file.ts';
import { recordInSnapshot } from '../redis/load-snapshot.ts';
import { TLS_VERSIONS } from '../settings/level.ts';
import { quoted } from '../text/printable.ts';
import { likelyMeant } from '../toml/likely-meant.ts';
import { atHand } from './at-hand.ts';
import { action, openStore, UsageError, WELL } from './command-context.ts';

const HELP = `
For the question "why was this refused?", and for "what would happen if?" before a change. The addresses are as in the log
of Postfix; <> is the null sender. Without --tls the replies to a plaintext session and to one with TLSv1.3 are shown.
Settings in Redis have no lines: its URL is named, without credentials; while it is away those of the snapshot are told, and
that they are. What is written user%other@hosted may also be for user@other, as only Postfix knows: both are told, and what is
asked of either holds. For six minutes after tables were written both replies are named that the service may give until all of
Postfix uses them.

Examples:
  $ tlswarden explain ceo@bank.example info@example.com
  From ceo@bank.example, not hosted here.
  To   info@example.com, hosted here.

  RECEIPT, from the sending server or user to this Postfix
    incoming.receipt of example.com asks for TLS: TLSv1.2 or later, ciphers of 128 bits or more
      example.com.toml:2  require_tls = "specific"
      example.com.toml:3  senders lists "*@bank.example"
      enforced by reply: reject

  DELIVERY, from this Postfix to the next server
    nothing asks for TLS

  REPLIES at RCPT, to the first recipient of a message
    without TLS        550 5.7.10 TLS required: mail for example.com is accepted over TLS only, and this session is not \
encrypted; send it with STARTTLS
    TLSv1.3, 256 bits  DUNNO

  $ tlswarden explain ceo@example.com someone@partner.example --tls TLSv1.2:128 --client 192.0.2.7

  $ tlswarden --json explain ceo@bank.example info@example.com
  {"sender": {address, domain, is_alias}, "recipient": {address, domain, is_alias},
   "otherwise": null, "exempt": false,
   "receipt": [{flow, domain, file, line, require_tls, entries, asks, …}], "delivery": [{…}],
   "route": {transport, nexthop, by, in_tables}, "tables": "current", "settling": null,
   "replies": [{session, kind, reply, …}]}

Exit status: 0; 1 if Redis is away and there is no snapshot, or holds no settings yet; 2 if an argument is not what it has to be, or the settings cannot be read.`;

interface Options {
  readonly tls?: string;
  readonly client?: string;
  readonly authenticated?: true;
}

/** Makes `tlswarden explain` a command of `program`. With --json: the {@link Explanation} as it is. */
export function addExplain(program: Command): void {
  program
    .command('explain')
    .argument('<sender>', 'the envelope sender; <> or "" is the null sender')
    .argument('<recipient>', 'the envelope recipient')
    .addOption(
      new Option('--tls <protocol[:bits]>', `the session: one of ${TLS_VERSIONS.join(', ')}, such as TLSv1.3:256`),
    )
    .option('--client <address>', "the client's address, for receipt.exempt_clients")
    .option('--authenticated', 'a mail program that has logged in')
    .summary('what is asked for between a sender and a recipient, why, and the reply')
    .description(
      'Says every requirement on both hops between a sender and a recipient, which line of which setting asks for it, how ' +
        'it is enforced, and what the service would reply.',
    )
    .addHelpText('after', HELP)
    .action(
      action(async (context, sender: string, recipient: string, options: Options) => {
        const session = options.tls === undefined ? undefined : parseSession(options.tls);
        const client = options.client === undefined ? '' : parseClient(options.client);
        const main = await context.readMain();
        const from = sender === '' || sender === '<>' ? '' : parseAddress(sender, main.addresses);
        const to = parseAddress(recipient, main.addresses);
        const { settings, isSnapshot } = await atHand(context, main);
        const explanation = await explain({
          main,
          settings,
          recordOf: recordsOf(main, isSnapshot),
          tables: await lookAtTables(main, settings, Date.now()),
          sender: from,
          recipient: to,
          session,
          clientAddress: client,
          authenticated: options.authenticated === true,
        });
        if (context.json) context.printJson(explanation);
        else context.print(wordExplanation(explanation));
        return WELL;
      }),
    );
}

function recordsOf(main: MainFile, isSnapshot: boolean): RecordOf {
  const { snapshot } = main.settings;
  if (isSnapshot && snapshot !== undefined) return (name) => recordInSnapshot(snapshot, name);
  const store = openStore(main);
  return async (name) => (await store.read([name])).domains.get(name)?.table;
}

/** An address as Postfix passes it to a policy service; its log puts it into brackets. */
function parseAddress(text: string, rules: AddressRules): string {
  const bare = text.startsWith('<') && text.endsWith('>') ? text.slice(1, -1) : text;
  const { local, domain } = Address.read(bare, rules);
  const isAddress = local !== '' && (parseDomain(domain) !== undefined || /^\[.+\]$/u.test(domain));
  if (!isAddress) throw new UsageError(`${quoted(bare)} is no address; write user@example.com`);
  return bare;
}

function parseClient(text: string): string {
  if (isIP(text) === 0) throw new UsageError(`${quoted(text)} is no IP address; write --client 192.0.2.7`);
  return text;
}

function parseSession(text: string): Session {
  const [protocol = '', bits = '256', ...rest] = text.split(':');
  if ((TLS_VERSIONS as readonly string[]).includes(protocol) && /^\d{1,5}$/u.test(bits) && rest.length === 0) {
    return { protocol, bits: Number(bits) };
  }
  const meant = likelyMeant(protocol, TLS_VERSIONS);
  throw new UsageError(
    `${quoted(text)} is no PROTOCOL[:BITS], PROTOCOL being one of ${TLS_VERSIONS.join(', ')}` +
      (meant === undefined ? '' : `; did you mean ${meant}:256?`),
  );
}
