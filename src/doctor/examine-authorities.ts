/**
 * Whether Postfix trusts an authority where levels ask for the certificate of one. Pure; what the authorities are worth it
 * does not know.
 */
import { needsAuthority, TRUST_PARAMETERS } from '../fragments/trusted-authorities.ts';
import type { Finding } from './finding.ts';
import type { Host } from './host.ts';

/** `file`: what the system trusts, all in one file. */
export function examineAuthorities({ settings, postfix, mending }: Host, file: string): readonly Finding[] {
  const [parameter] = TRUST_PARAMETERS;
  if (TRUST_PARAMETERS.some((name) => postfix.value(name) !== '') || !needsAuthority(settings)) return [];
  return [
    {
      id: 'no-authorities',
      severity: 'fault',
      where: `main.cf: ${parameter}`,
      what: 'It is empty, as are the others that name authorities: Postfix trusts no certificate.',
      why: 'Levels verify and secure cannot be reached, so all mail that needs them waits: "Server certificate not verified".',
      mend: mending.set({ [parameter]: file }),
      note: `This trusts whom this system trusts; ${file} is of the package ca-certificates.`,
    },
  ];
}
