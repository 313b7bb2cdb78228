/**
 * Whether the policy service answers, and by the settings as they stand: a few questions whose answers are known. It asks
 * about receipt only, since an answer about delivery depends on how long the tables have been there.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { decide } from '../decision/decide.ts';
import { NO_TABLES } from '../decision/delivery.ts';
import { Lanes } from '../decision/lanes.ts';
import { OWN_INSTANCE } from '../decision/own-question.ts';
import { askService, NoAnswer, type PolicyQuestion } from '../service/policy-client.ts';
import { compileExemptClients } from '../settings/exempt-clients.ts';
import type { Finding } from './finding.ts';
import type { Host } from './host.ts';
import type { Sample } from './sample.ts';

/** Domains that are asked about. */
const MOST_ASKED = 3;
/** A change of the settings is in force within a second. */
const SETTLE_MS = 3_000;
const LOOK_MS = 250;
/** Of a network that no client is in (RFC 5737, RFC 3849). */
const STRANGERS = ['192.0.2.1', '198.51.100.1', '203.0.113.1', '2001:db8::1'];

/**
 * Asks the first address of server.listen up to seven questions. An answer by other settings counts if it stays for
 * three seconds.
 */
export async function examineService(host: Host, sample: Sample): Promise<readonly Finding[]> {
  const { mending } = host;
  const address = host.fragmentContext.policyService;
  const where = address;
  const questions = [idle, ...known(host, sample)];
  const deadline = Date.now() + SETTLE_MS;
  for (let i = 0; i < questions.length; ) {
    const { question, expected, about } = questions[i] as Question;
    let answer: string;
    try {
      answer = await askService(address, question);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      return [
        {
          id: 'service-silent',
          severity: 'fault',
          where,
          what: `The policy service ${error.message}.`,
          why: 'Every client is told 451 4.3.5: no mail comes in.',
          mend: mending.startService,
          note: `Its log says why it is not there; "tlswarden check" says whether the settings can be used.${mending.restartNote}`,
        },
      ];
    }
    if (answer === expected) i += 1;
    else if (Date.now() < deadline) await pause(LOOK_MS);
    else {
      return [
        {
          id: 'service-behind',
          severity: 'breach',
          where,
          what: `Of ${about} the service says "${answer}"; by the settings as they stand it is "${expected}".`,
          why: 'The service goes by other settings, or by another main file, than those that doctor has read.',
          mend: mending.restart,
          note: `The main file is read at a start only, by the service and by "tlswarden maps --watch".${mending.restartNote}`,
        },
      ];
    }
  }
  return [];
}

interface Question {
  readonly question: PolicyQuestion;
  readonly expected: string;
  readonly about: string;
}

/** Before RCPT the service has nothing to say, whatever the settings are. */
const idle: Question = { question: { protocol_state: 'CONNECT' }, expected: 'DUNNO', about: 'a client that connects' };

/** Plaintext to domains that require TLS of everyone, from a stranger and from a client that is exempt. */
function known({ main, settings }: Host, { domains }: Sample): readonly Question[] {
  const isExempt = compileExemptClients(main.receipt.exemptClients);
  const stranger = STRANGERS.find((address) => !isExempt(address));
  const [exempt] = (main.receipt.exemptClients[0] ?? '').split('/');
  const clients = [stranger, exempt].filter((client) => client !== undefined && client !== '');
  const asking = domains.filter(({ settings: of }) => of.incoming.receipt?.condition.kind === 'always');
  return asking.slice(0, MOST_ASKED).flatMap(({ name }) =>
    clients.map((client): Question => {
      const recipient = `postmaster@${name}`;
      const { reply } = decide(
        {
          settings,
          generation: 1,
          addresses: main.addresses,
          tables: NO_TABLES,
          lanes: new Lanes(0),
          isExempt,
        },
        {
          protocolState: 'RCPT',
          sender: '',
          recipient,
          recipientCount: 0,
          clientAddress: client ?? '',
          encryptionProtocol: '',
          encryptionKeysize: 0,
          authenticated: false,
          instance: OWN_INSTANCE,
          policyContext: 'receipt',
        },
        0,
      );
      return {
        question: {
          protocol_state: 'RCPT',
          protocol_name: 'ESMTP',
          sender: '',
          recipient,
          client_address: client ?? '',
          policy_context: 'receipt',
        },
        expected: reply,
        about: `mail in plaintext from ${client} to ${recipient}`,
      };
    }),
  );
}
