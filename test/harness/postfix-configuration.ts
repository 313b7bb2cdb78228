// What a test Postfix is configured as unless the test says otherwise: a gateway that is quick to retry, slow to lose
// patience with a client, and that believes XCLIENT. Nothing here is advice for a real host.

/** Parameters of main.cf, by name. */
export type Parameters = Readonly<Record<string, string>>;

/** Defaults that are the same for every test Postfix. Folders, names and certificates come on top. */
export const defaultParameters: Parameters = {
  compatibility_level: '3.6',
  inet_interfaces: '127.0.0.1',
  inet_protocols: 'ipv4',
  mydestination: '$myhostname',
  mynetworks: '127.0.0.0/8',
  alias_maps: '',
  alias_database: '',
  local_recipient_maps: '',
  notify_classes: '',
  enable_long_queue_ids: 'yes',

  // Deferred mail comes back soon. Not sooner: a message that the queue manager finds while the last delivery attempt still
  // holds its lock is put off for a minute.
  minimal_backoff_time: '2s',
  maximal_backoff_time: '2s',
  queue_run_delay: '1s',
  transport_retry_time: '1s',
  smtp_connect_timeout: '5s',
  smtp_helo_timeout: '10s',
  in_flow_delay: '0',

  // Tests play any client, are refused often and do not want to be slowed down for it.
  smtpd_authorized_xclient_hosts: '127.0.0.0/8',
  smtpd_error_sleep_time: '0',
  smtpd_soft_error_limit: '10000',
  smtpd_hard_error_limit: '10000',
  smtpd_client_connection_count_limit: '0',
  smtpd_relay_restrictions: 'permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination',

  smtp_tls_security_level: 'may',
  smtp_tls_loglevel: '1',
  smtpd_tls_loglevel: '1',
  smtpd_tls_received_header: 'yes',
};

/** main.cf as text. Each name once: an entry that stands twice can lock up postlogd. */
export function mainCf(parameters: Parameters): string {
  return Object.entries(parameters)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('');
}

/** master.cf as text: the standard services, none in a chroot, with smtpd on one address and port; then further lines. */
export function masterCf(address: string, port: number, services: readonly string[] = []): string {
  return [...standardServices.map((line) => line.replace('LISTENER', `${address}:${port}`)), ...services, ''].join(
    '\n',
  );
}

const standardServices = [
  'LISTENER  inet  n       -       n       -       -       smtpd',
  'pickup    unix  n       -       n       60      1       pickup',
  'cleanup   unix  n       -       n       -       0       cleanup',
  'qmgr      unix  n       -       n       300     1       qmgr',
  'tlsmgr    unix  -       -       n       1000?   1       tlsmgr',
  'rewrite   unix  -       -       n       -       -       trivial-rewrite',
  'bounce    unix  -       -       n       -       0       bounce',
  'defer     unix  -       -       n       -       0       bounce',
  'trace     unix  -       -       n       -       0       bounce',
  'verify    unix  -       -       n       -       1       verify',
  'flush     unix  n       -       n       1000?   0       flush',
  'proxymap  unix  -       -       n       -       -       proxymap',
  'proxywrite unix -       -       n       -       1       proxymap',
  'smtp      unix  -       -       n       -       -       smtp',
  'relay     unix  -       -       n       -       -       smtp',
  'showq     unix  n       -       n       -       -       showq',
  'error     unix  -       -       n       -       -       error',
  'retry     unix  -       -       n       -       -       error',
  'discard   unix  -       -       n       -       -       discard',
  'local     unix  -       n       n       -       -       local',
  'virtual   unix  -       n       n       -       -       virtual',
  'lmtp      unix  -       -       n       -       -       lmtp',
  'anvil     unix  -       -       n       -       1       anvil',
  'scache    unix  -       -       n       -       1       scache',
  'postlog   unix-dgram n  -       n       -       1       postlogd',
];
