/**
 * How the service tells what tlswarden itself asks (doctor, `postfix apply`) from what Postfix asks about mail: by the instance,
 * which smtpd(8) makes of numbers, so that no client can have its mail take this one. It decides nothing: the answer is the
 * same.
 */
import type { PolicyRequest } from './request.ts';

/** The `instance` of a question that is about no message. Postfix's are numbers in hexadecimal (smtpd.c, mail_cmd). */
export const OWN_INSTANCE = 'tlswarden';

/** Whether no mail is behind this request: it is answered like any other, and neither counted nor logged. */
export function isOwnQuestion({ instance }: Pick<PolicyRequest, 'instance'>): boolean {
  return instance === OWN_INSTANCE;
}
