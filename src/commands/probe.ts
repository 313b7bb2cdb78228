/**
 * `tlswarden probe`: what TLS the servers of domains can do, and which level could be required of them. It connects as a
 * mail server would, sends no mail, and changes nothing.
 */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { DomainName } from '../address/domain-name.ts';
import { DEFAULT_PATH } from '../main-file/main-file.ts';
import { loadSettings } from '../main-file/open-source.ts';
import { probeDocument } from '../probe/probe-document.ts';
import { couldRequire, type ProbeTarget } from '../probe/probe-domain.ts';
import { wordProbe } from '../probe/word-probe.ts';
import { BY_MX, type NextHop, parseNextHop } from '../settings/next-hop.ts';
import type { Settings } from '../settings/settings.ts';
import { action, type CommandContext, FAILED, UsageError, WELL } from './command-context.ts';
import { domainArgument } from './domains/find-domain.ts';
import { CA_OPTION, openProber, type ProbeOptions, RESOLVER_OPTION, TIMEOUT_OPTION } from './open-prober.ts';
import { Progress } from './progress.ts';

const HELP = `
Before TLS is required of mail to a domain: whether its servers could do it. Each address of each host is asked for
STARTTLS, once for every protocol version; no mail is sent. A hosted domain is probed where its settings send its mail,
any other by its MX records; so domains that are not hosted yet can be probed too. Levels are judged as Postfix 3.6 and
later does. Certificates are held against the system's authorities; what Postfix trusts, smtp_tls_CAfile and
smtp_tls_CApath say. Level dane-only depends on the resolver: it has to validate DNSSEC and to be worth its word.

Examples:
  $ tlswarden probe example.com
  example.com, by its MX records
    mx.provider.example (MX 10)
      192.0.2.1 offers STARTTLS: TLSv1.3, TLS_AES_256_GCM_SHA384, 256 bits
        protocols    TLSv1.3 TLSv1.2; not TLSv1.1 TLSv1
        certificate  for mx.provider.example
                     issued by Let's Encrypt, R11; trusted
                     expires in 43 days (2026-03-01)
        SHA-256      5B:39:…
        public key   C0:1A:…
        TLSA         none
        encrypt      works
        fingerprint  works
        dane-only    does not work: it has no TLSA records
        verify       works
        secure       does not work: its certificate is for mx.provider.example, not for example.com or …
    Strongest that works: level verify, TLSv1.3 or newer

    tlswarden domains set example.com incoming.delivery require_tls=always level=verify

  A customer's server before it becomes the next hop:
  $ tlswarden probe example.com --nexthop '[mail.customer.example]:25'

  $ tlswarden --json probe example.com
  {"authorities": "…", "domains": [{domain, nexthop, could_require, hosts: [{host, addresses, levels, …}], suggestion, …}]}

Exit status: 0 if TLS could be required of every domain (level encrypt); 1 if not, or if a host was not reached; 2 wrong
usage or settings.`;

interface Options extends ProbeOptions {
  readonly nexthop?: string;
}

/** Makes `tlswarden probe` a command of `program`. With --json: {@link probeDocument}. */
export function addProbe(program: Command): void {
  program
    .command('probe')
    .argument('<domains...>', 'the domains; they need not be hosted')
    .option('--nexthop <nexthop>', 'where to look, such as [mx.example.com]:25, instead of settings and MX records')
    .addOption(CA_OPTION)
    .addOption(RESOLVER_OPTION)
    .addOption(TIMEOUT_OPTION)
    .summary('whether the servers of domains can do TLS, and which level could be required')
    .description(
      'Connects to the next hop or the MX hosts of domains, and says of each host what TLS it does, and which level ' +
        'could be required of mail to the domain.',
    )
    .addHelpText('after', HELP)
    .action(action(probe));
}

function probedDomain(text: string): DomainName {
  if (!/[:[\]]/u.test(text)) return domainArgument(text);
  throw new UsageError(
    `"${text}" is no domain; a server is named beside its domain: tlswarden probe DOMAIN --nexthop '${text}'`,
  );
}

async function probe(
  context: CommandContext,
  names: readonly string[],
  options: Options,
): Promise<typeof WELL | typeof FAILED> {
  const domains = [...new Set(names.map(probedDomain))];
  const nexthop = parseNextHopOption(options.nexthop);
  const progress = new Progress('probing addresses');
  const { prober, authorities } = await openProber(options, progress);
  const settings = await settingsOf(context);
  const targets = domains.map((domain): ProbeTarget => {
    const hosted = settings?.find(domain);
    const own = hosted?.nexthop ?? BY_MX;
    return {
      domain,
      owner: hosted?.name,
      nexthop: nexthop ?? own,
      from: nexthop !== undefined ? 'option' : own === BY_MX ? 'mx' : 'settings',
      setting: hosted?.settings.incoming.delivery,
      flow: 'incoming',
    };
  });
  const probes = await Promise.all(targets.map((target) => prober.probe(target))).finally(() => progress.end());
  const now = Date.now();
  if (context.json) context.printJson(probeDocument(probes, authorities, now));
  else context.print(probes.map((one) => wordProbe(one, now)).join('\n\n'));
  return probes.every(couldRequire) ? WELL : FAILED;
}

function parseNextHopOption(text: string | undefined): NextHop | undefined {
  if (text === undefined) return undefined;
  const nexthop = parseNextHop(text);
  if (nexthop === undefined || nexthop === BY_MX) {
    throw new UsageError(`--nexthop "${text}" is no next hop; write "[host]:port"`);
  }
  return nexthop;
}

/** A machine that only wants to look at domains needs no main file. One that has it uses it, or hears what is wrong. */
async function settingsOf(context: CommandContext): Promise<Settings | undefined> {
  if (context.configPath === DEFAULT_PATH && !existsSync(DEFAULT_PATH)) return undefined;
  return await loadSettings(await context.readMain());
}
