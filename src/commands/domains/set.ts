/**
 * `tlswarden domains set`: changes some keys of one domain, which it makes if it is new.
 */
import type { Command } from 'commander';
import type { DomainName } from '../../address/domain-name.ts';
import type { MainFile } from '../../main-file/main-file.ts';
import { domainContext } from '../../main-file/open-source.ts';
import { probeDocument } from '../../probe/probe-document.ts';
import { normalRecord, sameValue } from '../../settings/domain-record.ts';
import { type Defaults, parseHostedDomain } from '../../settings/hosted-domain.ts';
import { removedKeys } from '../../settings/record-difference.ts';
import type { SettingsStore, StoredDomains } from '../../source/settings-store.ts';
import { isTable, type Table } from '../../toml/table-reader.ts';
import { action, type CommandContext, CommandFailure, openStore, UsageError, WELL } from '../command-context.ts';
import { CA_OPTION, openProber, type ProbeOptions, RESOLVER_OPTION, TIMEOUT_OPTION } from '../open-prober.ts';
import { Progress } from '../progress.ts';
import { type Assigned, assign, HOP_NAMES, parseHopName } from './assignments.ts';
import { domainArgument, findDomain } from './find-domain.ts';
import { missingTransports } from './missing-transports.ts';
import { nearNames } from './near-names.ts';
import { hostedAs, tryDeliveries } from './try-deliveries.ts';

interface Options extends ProbeOptions {
  readonly probe?: true;
  readonly force?: true;
}

const HELP = `
FLOW.HOP is ${HOP_NAMES.join(', ')}.
Lists are separated by commas. KEY+=VALUE adds to a list, KEY-=VALUE takes from it, KEY= takes the key away, and with
the last one the setting, so that what [defaults] says holds. aliases and nexthop belong to the domain itself and need no
FLOW.HOP. Several settings can be changed at once: each FLOW.HOP holds for the keys behind it. DOMAIN alone makes a domain
that asks for nothing. When require_tls changes from "specific" the lists and "when" are dropped, which is said. Of a domain
that is new it is said that it is, and if its name is very near to one that is hosted here, that it is.

Examples:
  Accept mail for example.com over TLS only:
  $ tlswarden domains set example.com incoming.receipt require_tls=always

  Ask for TLS from the bank, and for whatever payroll gets; deliver to the customer's server over TLS only:
  $ tlswarden domains set example.com incoming.receipt require_tls=specific 'senders=*@bank.example' recipients=payroll \\
      incoming.delivery require_tls=always level=secure 'nexthop=[mx1.example.com]:25'

  One more sender:
  $ tlswarden domains set example.com incoming.receipt senders+=ceo@partner.example

  Require TLS of the customer's server only if it can do it:
  $ tlswarden domains set example.com incoming.delivery require_tls=always level=secure --probe
  tlswarden: example.com: incoming.delivery, level secure, would not work at the MX hosts of example.com: its certificate
  is for mx.provider.example, not for example.com or .example.com; level verify would work: tlswarden domains set …
  Nothing was changed; with --force it is set all the same.

  $ tlswarden --json domains set example.com nexthop=
  {"domain": "example.com", "new": false, "changed": true, "removed": ["nexthop"], "notes": []}

With --probe the servers that a new or changed requirement on delivery concerns are looked at first, as by "tlswarden probe":
the next hop, or the MX hosts of the domain and its aliases; for outgoing the relayhost, or the recipients' domains that
are listed. What would not work on all of them, or is not known because one was not reached, is not set. Under
enforcement=monitor it is only said.

A domain that stands in a file with others is changed there, and every other line of the file stays as it is; a new one
gets a file of its own.

Where "tlswarden postfix apply" has been run, it is said if master.cf lacks a transport that the domain now needs: a level is
in use for the first time.

Exit status: 0; 1 if it cannot be written, or --probe says no; 2 if the settings would not be valid, in which case nothing is changed.`;

/** Makes `set` a command of `domains`: one change of the store, which decides whether the result is valid. */
export function addSet(domains: Command): void {
  domains
    .command('set')
    .argument('<domain>', 'the domain; it is made if it is new')
    .argument('[assignments...]', '[FLOW.HOP] KEY=VALUE…')
    .usage('[options] DOMAIN [[FLOW.HOP] KEY=VALUE…]')
    .summary('change keys of one domain, which is made if it is new')
    .description('Changes keys of one domain, which is made if it is new. It takes effect at once.')
    .option(
      '--probe',
      'first see whether the servers concerned could do what delivery is to require; if not, change nothing',
    )
    .option('--force', 'with --probe: change it whatever the servers can do')
    .addOption(CA_OPTION)
    .addOption(RESOLVER_OPTION)
    .addOption(TIMEOUT_OPTION)
    .addHelpText('after', HELP)
    .action(
      action(
        async (context, text: string, words: readonly string[], options: Options) => {
          const name = domainArgument(text);
          if (options.force && !options.probe) throw new UsageError('--force goes with --probe');
          const main = await context.readMain();
          const store = openStore(main);
          const trial = options.probe ? await tryFirst(context, main, store, name, words, options) : undefined;
          let assigned: Assigned | undefined;
          let notes: readonly string[] = [];
          let removed: readonly string[] = [];
          let others: StoredDomains = new Map();
          const count = await store.change(
            (present) => {
              const before = tableOf(present, name);
              assigned = assign(before, words);
              if (trial !== undefined && !sameValue(normalRecord(assigned.table), trial.record)) {
                throw new CommandFailure(
                  `${name} was changed by somebody else while it was probed; nothing was changed`,
                );
              }
              removed = removedKeys(before, assigned.table);
              others = present;
              notes = [...assigned.notes, ...defaultsReplaced(main.defaults, before, assigned.table, words)];
              return new Map([[name, assigned.table]]);
            },
            { concerns: [name], command: 'domains set', waiting: context.waiting },
          );
          if (assigned === undefined) throw new CommandFailure('nothing was read');
          const isNew = !others.has(name);
          const near = isNew ? await nearDomain(main, store, name, others) : undefined;
          if (near !== undefined) notes = [...notes, `did you mean ${near}, which is hosted here?`];
          if (count > 0) notes = [...notes, ...(await transportNotes(main, name, assigned.table))];
          for (const note of notes) context.note(`${name}: ${note}`);
          if (context.json) {
            const probe = trial === undefined ? {} : { probe: trial.document };
            context.printJson({ domain: name, new: isNew, changed: count > 0, removed, notes, ...probe });
          } else context.print(`${name}: ${isNew ? 'new domain' : count > 0 ? 'changed' : 'nothing to change'}`);
          return WELL;
        },
        { changesSettings: true },
      ),
    );
}

/** What stands there of the domain; throws {@link UsageError} if it is another one's alias. */
function tableOf(present: StoredDomains, name: DomainName): Table {
  const stored = findDomain(present, name);
  if (stored !== undefined && stored.name !== name) {
    throw new UsageError(`${name} is an alias of ${stored.name}, and has its settings: change those`);
  }
  return stored?.table ?? {};
}

/** A hosted domain of which this name may be a slip of the keyboard. Best effort: the change is made already. */
async function nearDomain(
  main: MainFile,
  store: SettingsStore,
  name: DomainName,
  others: StoredDomains,
): Promise<DomainName | undefined> {
  const near = nearNames(name);
  const isNear = (domains: StoredDomains | undefined) => near.find((other) => domains?.has(other));
  if (main.settings.source.kind === 'directory') return isNear(others);
  // The plan of a change sees no domains there but the one that it changes.
  return isNear(
    await store.read(near).then(
      ({ domains }) => domains,
      () => undefined,
    ),
  );
}

async function transportNotes(main: MainFile, name: DomainName, table: Table): Promise<readonly string[]> {
  const missing = await missingTransports(main, hostedAs(main, name, table, name));
  if (missing.length === 0) return [];
  const names = missing.join(', ');
  return [
    `master.cf of this host has no ${names} yet: mail that needs it waits until "tlswarden postfix apply --reload"`,
  ];
}

interface Tried {
  /** What was tried: the domain as it is to be. */
  readonly record: Table;
  /** For --json. */
  readonly document: unknown;
}

/** Throws {@link CommandFailure} if what is to be required would not work, unless it is forced. */
async function tryFirst(
  context: CommandContext,
  main: MainFile,
  store: SettingsStore,
  name: DomainName,
  words: readonly string[],
  options: Options,
): Promise<Tried> {
  const { domains: present } = await store.read([name]);
  const before = tableOf(present, name);
  const place = present.get(name)?.place ?? name;
  const { table } = assign(before, words);
  const after = hostedAs(main, name, table, place);
  const progress = new Progress('probing addresses');
  const { prober, authorities } = await openProber(options, progress);
  // What stands there may have a mistake, which this change mends.
  const known = parseHostedDomain(name, before, place, domainContext(main), []);
  const trial = await tryDeliveries(main, store, known, after, prober).finally(() => progress.end());
  for (const note of trial.notes) context.note(`${name}: ${note}`);
  if (trial.failures.length > 0 && !options.force) {
    const lines = trial.failures.map((failure) => `${name}: ${failure}`);
    throw new CommandFailure([...lines, 'Nothing was changed; with --force it is set all the same.'].join('\n'));
  }
  for (const failure of trial.failures) context.note(`warning: ${name}: ${failure}`);
  return { record: normalRecord(table), document: probeDocument(trial.probes, authorities, Date.now()) };
}

/** A setting of the domain's own takes the place of the whole default, which one may not think of. */
function defaultsReplaced(
  defaults: Defaults,
  before: Table,
  after: Table,
  words: readonly string[],
): readonly string[] {
  return words
    .filter((word) => HOP_NAMES.includes(word))
    .filter((word) => {
      const { flow, hop } = parseHopName(word);
      const has = ({ [flow]: hops }: Table): boolean => isTable(hops) && Object.hasOwn(hops, hop);
      return defaults[flow][hop] !== undefined && has(after) && !has(before);
    })
    .map((word) => `${word} is now a setting of its own, which replaces that of [defaults] whole`);
}
