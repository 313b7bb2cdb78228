/**
 * `tlswarden explain`: what is asked for between one sender and one recipient, by which line of which setting, who
 * enforces it, and what the service would reply. It asks the decision itself; there is no second statement of the rules.
 */
import { type Command, Option } from 'commander';
import { explain, type Session } from '../explain/explain.ts';
import { readTables } from '../explain/read-tables.ts';
import { wordExplanation } from '../explain/word-explanation.ts';
import { TLS_VERSIONS } from '../settings/level.ts';
import { loadSettings } from '../source/open-source.ts';
import { likelyMeant } from '../toml/likely-meant.ts';
import { action, UsageError, WELL } from './command-context.ts';

const HELP = `
For the question "why was this refused?", and for "what would happen if?" before a change. The addresses are as in the log
of Postfix; <> is the null sender. Without --tls the replies to a plaintext session and to one with TLSv1.3 are shown.

Examples:
  $ tlswarden explain billing@bank.example payroll@example.com
  From billing@bank.example, not hosted here.
  To payroll@example.com, hosted here as example.com.

  RECEIPT, from the sending server to this Postfix
    incoming.receipt of example.com asks for TLS: TLSv1.2 or later, 128 bits or more
      example.com.toml:5  require_tls = "specific"
      example.com.toml:6  senders lists "*@bank.example"
      enforced by reply, reject

  DELIVERY, from this Postfix to the next server
    nothing asks for TLS

  REPLIES of the service at RCPT, to the first recipient of a message
    without TLS       550 5.7.10 TLS required: mail for example.com is accepted over TLS only, and this session is not…
    TLSv1.3, 256 bits DUNNO

  $ tlswarden explain ceo@example.com someone@partner.example --tls TLSv1.2:128 --client 192.0.2.7

Exit status: 0; 1 if Redis is away or holds no settings yet; 2 if the settings cannot be read.`;

interface Options {
  readonly tls?: string;
  readonly client?: string;
  readonly authenticated?: true;
}

export function addExplain(program: Command): void {
  program
    .command('explain')
    .argument('<sender>', 'the envelope sender; <> or "" is the null sender')
    .argument('<recipient>', 'the envelope recipient')
    .addOption(new Option('--tls <protocol[:bits]>', `the session, such as ${TLS_VERSIONS.at(-1)}:256`))
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
        const main = await context.readMain();
        const settings = await loadSettings(main);
        const explanation = await explain({
          main,
          settings,
          tables: await readTables(main, settings),
          sender: sender === '<>' ? '' : sender,
          recipient,
          session,
          clientAddress: options.client ?? '',
          authenticated: options.authenticated === true,
        });
        if (context.json) context.printJson(explanation);
        else context.print(wordExplanation(explanation));
        return WELL;
      }),
    );
}

function parseSession(text: string): Session {
  const [protocol = '', bits, ...rest] = text.split(':');
  if (!/^(?:TLSv\d(?:\.\d)?|SSLv[23])$/u.test(protocol) || rest.length > 0) {
    const meant = likelyMeant(protocol, TLS_VERSIONS);
    throw new UsageError(`"${text}" is no PROTOCOL[:BITS]${meant === undefined ? '' : `; did you mean ${meant}:256?`}`);
  }
  if (bits !== undefined && !/^\d{1,5}$/u.test(bits)) throw new UsageError(`"${bits}" is no number of cipher bits`);
  return { protocol, bits: bits === undefined ? 256 : Number(bits) };
}
