// A policy request as Postfix 3.7 sends it, every attribute in its order, for the tests of the service.

const ATTRIBUTES: readonly (readonly [name: string, value: string])[] = [
  ['request', 'smtpd_access_policy'],
  ['protocol_state', 'RCPT'],
  ['protocol_name', 'ESMTP'],
  ['client_address', '198.51.100.17'],
  ['client_name', 'mail.partner.example'],
  ['client_port', '41234'],
  ['reverse_client_name', 'mail.partner.example'],
  ['server_address', '203.0.113.5'],
  ['server_port', '25'],
  ['helo_name', 'mail.partner.example'],
  ['sender', 'ceo@partner.example'],
  ['recipient', 'payroll@example.com'],
  ['recipient_count', '0'],
  ['queue_id', ''],
  ['instance', '1a2b.66f1a2b3.c3d4e.0'],
  ['size', '12345'],
  ['etrn_domain', ''],
  ['stress', ''],
  ['sasl_method', ''],
  ['sasl_username', ''],
  ['sasl_sender', ''],
  ['ccert_subject', ''],
  ['ccert_issuer', ''],
  ['ccert_fingerprint', ''],
  ['ccert_pubkey_fingerprint', ''],
  ['encryption_protocol', 'TLSv1.3'],
  ['encryption_cipher', 'TLS_AES_256_GCM_SHA384'],
  ['encryption_keysize', '256'],
  ['policy_context', ''],
  ['compatibility_level', '3.6'],
  ['mail_version', '3.7.11'],
];

/** The names of all attributes, in Postfix's order. */
export const attributeNames: readonly string[] = ATTRIBUTES.map(([name]) => name);

/** The recorded request, with other values for some of its attributes. */
export function recordedRequest(values: Readonly<Record<string, string>> = {}): Buffer {
  const lines = ATTRIBUTES.map(([name, value]) => `${name}=${values[name] ?? value}\n`);
  return Buffer.from(`${lines.join('')}\n`);
}

/** Lines that are a request, the closing empty one added. */
export function requestOf(...lines: readonly string[]): Buffer {
  return Buffer.from(`${lines.map((line) => `${line}\n`).join('')}\n`);
}
