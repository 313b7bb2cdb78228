/**
 * Whether smtpd(8) offers STARTTLS where TLS is asked for: otherwise clients are refused for what they cannot change. Pure.
 */
import { hopsAsked } from './entrance.ts';
import { isInner } from './examine-filters.ts';
import type { Finding } from './finding.ts';
import type { Host } from './host.ts';
import { shellWords } from './mending.ts';
import type { MasterService, PostfixConfiguration } from './postfix-configuration.ts';

const CERTIFICATES = ['smtpd_tls_chain_files', 'smtpd_tls_cert_file', 'smtpd_tls_eccert_file', 'smtpd_tls_dcert_file'];
const LEVEL = 'smtpd_tls_security_level';

/** The files that hold certificates and keys of all smtpd services: whoever examines looks whether they are there. */
export function certificateFiles(postfix: PostfixConfiguration): readonly string[] {
  const files = postfix
    .running('smtpd')
    .flatMap((service) => CERTIFICATES.flatMap((name) => filesOf(postfix, name, service)));
  return [...new Set(files)];
}

function filesOf(postfix: PostfixConfiguration, parameter: string, service: MasterService): readonly string[] {
  return postfix.list(parameter, service).filter((file) => file !== 'none');
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
        where: `${postfix.placeOf(LEVEL, service)}: ${LEVEL}`,
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
      where: `${postfix.placeOf(name, service)}: ${name}`,
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
  const parameters = CERTIFICATES.filter((name) => filesOf(postfix, name, service).length > 0);
  const missing = parameters.flatMap((name) => filesOf(postfix, name, service)).find((file) => unreadable.has(file));
  if (parameters.length > 0 && missing === undefined) return [];
  const name = 'smtpd_tls_chain_files';
  const [key, chain] = [`${postfix.directory}/smtpd.key`, `${postfix.directory}/smtpd.pem`];
  const subject = `/CN=${postfix.value('myhostname')}`;
  const openssl = ['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '3650', '-subj', subject];
  return [
    {
      id: 'smtpd-certificate',
      severity: 'fault',
      where:
        parameters[0] === undefined
          ? `main.cf: ${name}`
          : `${postfix.placeOf(parameters[0], service)}: ${parameters[0]}`,
      what:
        missing === undefined
          ? `${service.name} has no certificate, so it offers no STARTTLS.`
          : `${missing} cannot be read, so ${service.name} offers no STARTTLS.`,
      why: 'A client that has to use TLS cannot: its mail is refused.',
      mend: [
        `(umask 077; ${shellWords(...openssl, '-keyout', key, '-out', chain)})`,
        ...mending.setFor(service, { [name]: `${key}, ${chain}` }),
        ...mending.reload,
      ],
      note: 'This makes a certificate that nobody vouches for, which is enough for STARTTLS; one of an authority is better.',
    },
  ];
}
