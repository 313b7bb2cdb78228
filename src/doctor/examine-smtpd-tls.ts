/**
 * Whether smtpd(8) offers STARTTLS where TLS is asked for: otherwise clients are refused for what they cannot change. Pure.
 */
import { shellWords } from '../text/shell-words.ts';
import { hopsAsked } from './entrance.ts';
import { isInner } from './examine-filters.ts';
import type { Finding } from './finding.ts';
import type { Host } from './host.ts';
import type { MasterService, PostfixConfiguration } from './postfix-configuration.ts';

const CHAINS = 'smtpd_tls_chain_files';
/** Not looked at where there are chains: certificates, each with the parameter of its key. */
const LEGACY = {
  smtpd_tls_cert_file: 'smtpd_tls_key_file',
  smtpd_tls_eccert_file: 'smtpd_tls_eckey_file',
  smtpd_tls_dcert_file: 'smtpd_tls_dkey_file',
} as const;
/** Said by smtpd_tls_cert_file: TLS without any certificate, for clients that take anonymous ciphers. */
const isNone = (file: string): boolean => file.toLowerCase() === 'none';
const LEVEL = 'smtpd_tls_security_level';

/** The files that hold certificates and keys of all smtpd services: whoever examines looks whether they are there. */
export function certificateFiles(postfix: PostfixConfiguration): readonly string[] {
  const files = postfix.running('smtpd').flatMap((service) => filesOf(postfix, service).map(({ file }) => file));
  return [...new Set(files)];
}

interface CertificateFile {
  readonly parameter: string;
  readonly file: string;
}

/** The files that one service reads (postconf(5), smtpd_tls_chain_files): without any one of them it has no TLS. */
function filesOf(postfix: PostfixConfiguration, service: MasterService): readonly CertificateFile[] {
  const chains = postfix.list(CHAINS, service).map((file) => ({ parameter: CHAINS, file }));
  if (chains.length > 0) return chains;
  return Object.entries(LEGACY).flatMap(([parameter, keyParameter]) => {
    const file = postfix.value(parameter, service);
    if (file === '' || isNone(file)) return [];
    // By default the key is in the file of the certificate, of this service's.
    const isInside = ['', `$${parameter}`].includes(postfix.raw(keyParameter, service));
    const key = { parameter: keyParameter, file: postfix.value(keyParameter, service) };
    return [{ parameter, file }, ...(isInside ? [] : [key])];
  });
}

/** `unreadable`: which of {@link certificateFiles} cannot be read. */
export function examineSmtpdTls(host: Host, unreadable: ReadonlySet<string>): readonly Finding[] {
  return (
    host.entrances
      // Also one that does not ask yet: what mends that would have it refuse everybody.
      .filter((entrance) => hopsAsked(entrance.atRecipient).has('receipt') || !isInner(host, entrance))
      .flatMap(({ service }) => [...level(host, service), ...certificate(host, service, unreadable)])
  );
}

function level({ postfix, mending }: Host, service: MasterService): readonly Finding[] {
  if (postfix.isYes('smtpd_tls_wrappermode', service)) return [];
  const present = postfix.value(LEVEL, service);
  const obsolete = ['smtpd_use_tls', 'smtpd_enforce_tls'].some((name) => postfix.isYes(name, service));
  const isOff = present === 'none' || (present === '' && !obsolete);
  const discarded = postfix.list('smtpd_discard_ehlo_keywords', service);
  const why = 'A client that has to use TLS cannot: its mail is refused.';
  if (isOff) {
    const isOwn = service.raw.has(LEVEL);
    return [
      {
        id: 'smtpd-tls-off',
        severity: 'fault',
        where: postfix.placeOf(LEVEL, service),
        what: `It is ${present === '' ? 'empty' : `"${present}"`}: ${service.name} offers no STARTTLS.`,
        why,
        mend: isOwn ? [...mending.setFor(service, { [LEVEL]: 'may' }), ...mending.reload] : mending.apply,
      },
    ];
  }
  const name = 'smtpd_discard_ehlo_keywords';
  if (!discarded.some((word) => word.toLowerCase() === 'starttls')) return [];
  return [
    {
      id: 'smtpd-tls-off',
      severity: 'fault',
      where: postfix.placeOf(name, service),
      what: `It names starttls: ${service.name} does not say that it can do TLS.`,
      why,
      mend: [
        ...mending.setFor(service, { [name]: discarded.filter((word) => word.toLowerCase() !== 'starttls').join(',') }),
        ...mending.reload,
      ],
    },
  ];
}

function certificate(
  { postfix, mending }: Host,
  service: MasterService,
  unreadable: ReadonlySet<string>,
): readonly Finding[] {
  const files = filesOf(postfix, service);
  const missing = files.find(({ file }) => unreadable.has(file));
  if (files.length > 0 && missing === undefined) return [];
  // What stands at a usual name is somebody's key, which must not be written over.
  const file = `${postfix.directory}/tlswarden-smtpd`;
  const [key, chain] = [`${file}.key`, `${file}.pem`];
  const subject = `/CN=${postfix.value('myhostname')}`;
  const openssl = ['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '3650', '-subj', subject];
  return [
    {
      id: 'smtpd-certificate',
      severity: 'fault',
      where: missing === undefined ? `main.cf: ${CHAINS}` : postfix.placeOf(missing.parameter, service),
      what:
        missing === undefined
          ? isNone(postfix.value('smtpd_tls_cert_file', service))
            ? `${service.name} has no certificate, without which most clients take no STARTTLS.`
            : `${service.name} has no certificate, so it offers no STARTTLS.`
          : `${missing.file} cannot be read, so ${service.name} offers no STARTTLS.`,
      why: 'A client that has to use TLS cannot: its mail is refused.',
      mend: [
        `(umask 077; ${shellWords(...openssl, '-keyout', key, '-out', chain)})`,
        ...mending.setFor(service, { [CHAINS]: `${key}, ${chain}` }),
        ...mending.reload,
      ],
      note: 'This makes a certificate that nobody vouches for, which is enough for STARTTLS; one of an authority is better.',
    },
  ];
}
