/**
 * A fleet for the benchmark: any number of hosted domains with a mix of settings, the same for the same number, and
 * requests to go with it. It is no test, and its mix is a guess at a mail host's day, not a measurement of one.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const DOMAINS_A_FILE = 1000;

export const domainName = (i: number): string => `c${i}.customer.example`;

/** Of ten domains: five say nothing, two require TLS of everyone, two of some, one of everyone it mails to. */
function settingsOf(i: number): string {
  const name = domainName(i);
  const head = `[domains."${name}"]\nnexthop = "[mx${i % 997}.hosting.example]:25"\n`;
  const aliases = i % 4 === 0 ? `aliases = ["c${i}.alias.example"]\n` : '';
  const table = (path: string, ...lines: string[]): string => `[domains."${name}".${path}]\n${lines.join('\n')}\n`;
  switch (i % 10) {
    case 5:
      return `${head}${aliases}${table('incoming.receipt', 'require_tls = "always"')}${table('incoming.delivery', 'require_tls = "always"')}`;
    case 6:
      return `${head}${aliases}${table('incoming.delivery', 'require_tls = "always"', 'level = "secure"')}`;
    case 7:
      return `${head}${aliases}${table('incoming.receipt', 'require_tls = "specific"', 'senders = "*@bank.example, ceo@partner.example"', 'recipients = ["payroll", "legal"]')}`;
    case 8:
      return `${head}${aliases}${table('incoming.delivery', 'require_tls = "specific"', 'senders = "*@bank.example"', 'recipients = "payroll"')}`;
    case 9:
      return `${head}${aliases}${table('outgoing.delivery', 'require_tls = "always"')}`;
    default:
      return `${head}${aliases}`;
  }
}

/** Writes the main file and the settings of `count` domains below `directory`; gives back the main file's path. */
export async function writeFleet(directory: string, count: number, port: number, extra = ''): Promise<string> {
  const domains = join(directory, 'domains.d');
  await mkdir(domains, { recursive: true });
  for (let from = 0; from < count; from += DOMAINS_A_FILE) {
    let text = '';
    for (let i = from; i < Math.min(count, from + DOMAINS_A_FILE); i++) text += settingsOf(i);
    await writeFile(join(domains, `fleet-${from}.toml`), text);
  }
  const main = join(directory, 'tlswarden.toml');
  await writeFile(main, `[server]\nlisten = ["127.0.0.1:${port}"]\n[settings]\nsource = "domains.d"\n${extra}`);
  return main;
}

/** One request as Postfix 3.7 sends it, with every attribute that it has. */
function request(attributes: Readonly<Record<string, string | number>>): string {
  const all = {
    request: 'smtpd_access_policy',
    protocol_state: 'RCPT',
    protocol_name: 'ESMTP',
    client_address: '192.0.2.10',
    client_name: 'mail.sender.example',
    client_port: 45632,
    reverse_client_name: 'mail.sender.example',
    server_address: '192.0.2.25',
    server_port: 25,
    helo_name: 'mail.sender.example',
    sender: '',
    recipient: '',
    recipient_count: 0,
    queue_id: '',
    instance: '',
    size: 10240,
    etrn_domain: '',
    stress: '',
    sasl_method: '',
    sasl_username: '',
    sasl_sender: '',
    ccert_subject: '',
    ccert_issuer: '',
    ccert_fingerprint: '',
    ccert_pubkey_fingerprint: '',
    encryption_protocol: '',
    encryption_cipher: '',
    encryption_keysize: 0,
    policy_context: '',
    compatibility_level: '3.6',
    mail_version: '3.7.11',
    ...attributes,
  };
  return `${Object.entries(all)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')}\n`;
}

const TLS = {
  encryption_protocol: 'TLSv1.3',
  encryption_cipher: 'TLS_AES_256_GCM_SHA384',
  encryption_keysize: 256,
};

/**
 * Messages of one recipient each, RCPT then DATA, over all domains: about half in plaintext, a tenth refused, a tenth
 * moved by FILTER. No two rounds share a message.
 */
export function* fleetRequests(count: number, messages: number, round = 0): IterableIterator<string> {
  const seconds = Math.floor(Date.now() / 1000);
  for (let n = 0; n < messages; n++) {
    // A step that shares no factor with the number of domains visits them all.
    const i = (n * 7919) % count;
    const kind = i % 10;
    const plaintext = n % 2 === 0;
    const sender =
      kind === 9
        ? `sales@${domainName(i)}`
        : kind === 8 && n % 3 === 0
          ? 'desk@bank.example'
          : `someone@sender${n % 1000}.example`;
    const recipient = kind === 9 ? `info@partner${n % 1000}.example` : `info@${domainName(i)}`;
    const instance = `${(n % 50000).toString(16)}.${seconds.toString(16)}.${(n % 1000000).toString(16)}.${round.toString(16)}`;
    const common = { sender, recipient, instance, ...(plaintext ? {} : TLS) };
    yield request(common);
    yield request({ ...common, protocol_state: 'DATA', recipient_count: 1 });
  }
}
