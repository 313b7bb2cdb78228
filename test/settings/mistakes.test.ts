import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parsePattern } from '../../src/address/pattern.ts';
import { ComplaintError } from '../../src/toml/complaint.ts';
import { parseToml } from '../../src/toml/read-toml.ts';
import { complaintsOf } from './compile-settings.ts';

const HEAD = '[domains."example.com".incoming.receipt]\n';

/** The setting alone is wrong, and this is all that is said of it. */
function complaint(setting: string, head = HEAD): string {
  const complaints = complaintsOf(head + setting);
  assert.equal(complaints.length, 1, complaints.join('\n'));
  return complaints[0] ?? '';
}

describe('a mistake names file, domain and key:', () => {
  it('an unknown key, with the key that was probably meant', () => {
    assert.equal(
      complaint('require_tsl = "always"'),
      'a.toml: example.com: incoming.receipt.require_tsl: unknown key; did you mean "require_tls"?',
    );
    assert.match(
      complaint('Senders = "a@b.example"'),
      /incoming\.receipt\.Senders: unknown key; did you mean "senders"\?$/u,
    );
    assert.match(complaint('min-protocol = "TLSv1.2"'), /did you mean "min_protocol"\?$/u);
    assert.match(complaint('colour = "red"'), /colour: unknown key$/u);
    assert.match(
      complaint('', '[domains."example.com".incomming.receipt]\n'),
      /example\.com: incomming: .*"incoming"\?$/u,
    );
    assert.match(complaint('', '[domains."example.com".incoming.reciept]\n'), /incoming\.reciept: .*"receipt"\?$/u);
    assert.match(complaint('', '[domain."example.com"]\n'), /^a\.toml: domain: .*"domains"\?$/u);
    assert.match(complaint('alias = []', '[domains."example.com"]\n'), /did you mean "aliases"\?$/u);
  });

  it('a domain without quotes, with the quotes', () => {
    const quotes = (header: string): string => complaint('', header);
    assert.equal(
      quotes('[domains.foo.com]'),
      'a.toml: foo: com: unknown key; write the domain in quotes: [domains."foo.com"]',
    );
    assert.match(quotes('[domains.bar.org.incoming.receipt]'), /quotes: \[domains\."bar\.org"\]$/u);
    assert.match(quotes('[domains.mail.foo.co.uk]\nnexthop = "mx"'), /quotes: \[domains\."mail\.foo\.co\.uk"\]$/u);
    assert.match(quotes('[domains."foo.com".net]'), /foo\.com: net: unknown key$/u);
  });

  it('a key that belongs elsewhere, with the place', () => {
    const domain = '[domains."example.com"]\n';
    const all = 'incoming.receipt, incoming.delivery, outgoing.receipt or outgoing.delivery';
    assert.equal(
      complaint('require_tls = "always"', domain),
      `a.toml: example.com: require_tls: unknown key; it belongs to ${all}`,
    );
    assert.match(complaint('level = "secure"', domain), /; it belongs to incoming\.delivery or outgoing\.delivery$/u);
    assert.match(
      complaint('require_tls = "always"', '[domains."example.com".outgoing]\n'),
      /outgoing\.require_tls: unknown key; it belongs to outgoing\.receipt or outgoing\.delivery$/u,
    );
    assert.match(
      complaint('nexthop = "[mx.example.com]"', '[domains."example.com".incoming.delivery]\n'),
      /incoming\.delivery\.nexthop: unknown key; it belongs to the domain itself$/u,
    );
    assert.match(
      complaint('require_tls = "always"', '[domains."example.com".receipt.incoming]\n'),
      /example\.com: receipt: unknown key; write incoming\.receipt$/u,
    );
    assert.match(
      complaint('require_tls = "always"', '[domains."example.com".delivery]\n'),
      /delivery: unknown key; write incoming\.delivery or outgoing\.delivery$/u,
    );
    assert.match(
      complaint('', '[defaults.incoming.receipt]'),
      /defaults: unknown key; \[defaults\] belongs to the main/u,
    );
    assert.match(
      complaintsOf('', { defaults: '[defaults.receipt.outgoing]\nrequire_tls = "always"' }).join(),
      /^main\.toml: defaults\.receipt: unknown key; write outgoing\.receipt$/u,
    );
  });

  it('a misspelt value, with the one that was probably meant, and nothing else that follows from it', () => {
    assert.match(complaint('require_tls = "allways"'), /require_tls: "allways" is none of .*did you mean "always"\?$/u);
    assert.match(complaint('require_tls = "specfic"\nsenders = "a@b.example"'), /did you mean "specific"\?$/u);
    assert.match(complaint('require_tls = "always"\nmin_protocol = "tlsv1.2"'), /did you mean "TLSv1\.2"\?$/u);
    assert.match(
      complaint('level = "dane_only"', '[domains."example.com".incoming.delivery]\n'),
      /did you mean "dane-only"\?$/u,
    );
  });

  it('a value of the wrong type', () => {
    assert.match(complaint('require_tls = true'), /require_tls: must be "never", "always" or "specific", not true$/u);
    assert.match(
      complaint('protocols = 1.3', '[domains."example.com".outgoing.delivery]\n'),
      /protocols: must be ">=TLSv1\.2" or ">=TLSv1\.3", not 1\.3$/u,
    );
    assert.match(complaint('nexthop = 25', '[domains."example.com"]\n'), /nexthop: must be a string, not 25$/u);
    assert.match(
      complaint('require_tls = "always"\nmin_cipher_bits = "128"'),
      /min_cipher_bits: must be a whole number/u,
    );
    assert.match(
      complaint('require_tls = "specific"\nsenders = [1]'),
      /senders: must be a string or an array of strings/u,
    );
    assert.match(
      complaint('incoming = 1', '[domains."example.com"]\n'),
      /example\.com: incoming: must be a table, not 1$/u,
    );
    assert.match(complaint('"example.com" = 1', '[domains]\n'), /a\.toml: example\.com: must be a table, not 1$/u);
    assert.match(complaint('domains = 1', ''), /a\.toml: domains: must be a table/u);
  });

  it('specific with nobody listed', () => {
    for (const lists of ['', 'senders = ""', 'senders = []\nrecipients = " , "', 'when = "both"']) {
      assert.match(
        complaint(`require_tls = "specific"\n${lists}`),
        /example\.com: incoming\.receipt\.require_tls: "specific" with nobody/u,
      );
    }
  });

  it('lists without specific', () => {
    assert.match(complaint('require_tls = "always"\nsenders = "a@b.example"'), /senders: has a meaning only with/u);
    assert.match(complaint('when = "both"'), /when: has a meaning only with/u);
  });

  it('a bad address, quoted', () => {
    const specific = (list: string, entry: string) =>
      complaint(`require_tls = "specific"\n${list} = ${JSON.stringify([entry])}`);
    for (const entry of [
      'a@',
      '*@',
      '@',
      'a@b c',
      'a@-b.example',
      'a*@b.example',
      '*@*',
      '*@b.*',
      'bank',
      'a@[192.0.2.1]',
      'a@b@c.example',
      '<a@b.example>',
      '',
      ' ',
    ]) {
      assert.match(specific('senders', entry), /^a\.toml: example\.com: incoming\.receipt\.senders: /u, entry);
    }
    for (const entry of [
      'a b',
      'pay*',
      'payroll@other.example',
      '*@other.example',
      '*@*.other.example',
      'example.com',
      '"',
      'a\u0000',
    ]) {
      assert.match(specific('recipients', entry), /^a\.toml: example\.com: incoming\.receipt\.recipients: /u, entry);
    }
  });

  it('a bad domain name, alias or next hop', () => {
    assert.match(complaint('', '[domains."exa mple.com"]'), /^a\.toml: exa mple\.com: is no valid domain name$/u);
    assert.match(complaint('', '[domains."*"]'), /is no valid domain name$/u);
    assert.match(complaint('', '[domains.""]'), /^a\.toml: "": is no valid domain name$/u);
    assert.match(
      complaint('aliases = ["a b"]', '[domains."example.com"]\n'),
      /aliases: "a b" is no valid domain name$/u,
    );
    assert.match(
      complaint('aliases = ["EXAMPLE.com."]', '[domains."example.com"]\n'),
      /aliases: .* is the domain itself$/u,
    );
    assert.match(complaint('aliases = "a.example A.example"', '[domains."example.com"]\n'), /stands here twice$/u);
    for (const nexthop of ['a b', 'smtp:[a]', '[a]:0', '[a]:70000', 'a,b', '[a', ':25', '[]', 'a:25:26']) {
      assert.match(
        complaint(`nexthop = ${JSON.stringify(nexthop)}`, '[domains."example.com"]\n'),
        /example\.com: nexthop: .* is no next hop/u,
      );
    }
  });

  it('an entry that no file could hold', () => {
    assert.equal(parsePattern('a\ud800', 'own'), '"a\\u{d800}" is no valid local part');
    assert.equal(typeof parsePattern('a\udfff@b.example', 'far'), 'string');
  });

  it('a default that names a domain', () => {
    const [first] = complaintsOf('', {
      defaults: '[defaults.incoming.receipt]\nrequire_tls = "specific"\nrecipients = "a@example.com"',
    });
    assert.match(first ?? '', /^main\.toml: defaults\.incoming\.receipt\.recipients: "a@example\.com" names a domain/u);
  });

  it('keys of the other hop', () => {
    assert.match(
      complaint('level = "secure"'),
      /incoming\.receipt\.level: unknown key; it belongs to incoming\.delivery$/u,
    );
    assert.match(
      complaint('min_protocol = "TLSv1.3"', '[domains."example.com".outgoing.delivery]\n'),
      /outgoing\.delivery\.min_protocol: unknown key; it belongs to outgoing\.receipt$/u,
    );
    assert.match(
      complaint('require_tls = "always"\non_failure = "bounce"'),
      /on_failure: "bounce" is none of "reject", "defer"/u,
    );
    const delivery = '[domains."example.com".incoming.delivery]\nrequire_tls = "always"\n';
    assert.match(complaint('on_failure = "reject"', delivery), /on_failure: "reject" is none of "defer", "bounce"/u);
    assert.match(
      complaint('certificate_names = "a.example"', delivery),
      /certificate_names: has a meaning only with level/u,
    );
    assert.match(complaint('level = "fingerprint"', delivery), /fingerprints: must name at least one/u);
    assert.match(complaint('level = "fingerprint"\nfingerprints = "ab:cd"', delivery), /is no SHA-256 fingerprint/u);
    assert.match(complaint('protocols = "TLSv1.2"', delivery), /protocols: .*did you mean ">=TLSv1\.2"\?$/u);
  });
});

describe('every mistake is told, not the first alone', () => {
  it('over settings, domains and files', () => {
    const complaints = complaintsOf({
      'a.toml':
        '[domains."a.example"]\nnexthop = "a b"\n[domains."a.example".incoming.receipt]\nrequire_tls = "x"\n[domains."b.example"]\nfoo = 1',
      'b.toml': '[domains."c.example"]\naliases = 5',
    });
    assert.equal(complaints.length, 4, complaints.join('\n'));
    assert.deepEqual(complaints.map((text) => text.split(': ').slice(0, 2).join(' ')).sort(), [
      'a.toml a.example',
      'a.toml a.example',
      'a.toml b.example',
      'b.toml c.example',
    ]);
  });
});

describe('a domain stands once:', () => {
  it('in two files it is an error that names both', () => {
    assert.deepEqual(complaintsOf({ 'a.toml': '[domains."example.com"]', 'b.toml': '[domains."EXAMPLE.com."]' }), [
      'b.toml: example.com: stands already in a.toml',
    ]);
  });

  it('as an alias it is an error that names the other domain', () => {
    assert.deepEqual(
      complaintsOf({
        'a.toml': '[domains."a.example"]\naliases = "x.example"',
        'b.toml': '[domains."b.example"]\naliases = "x.example"',
      }),
      ['b.toml: b.example: aliases: "x.example" stands already as an alias of a.example in a.toml'],
    );
    assert.equal(
      complaintsOf({ 'a.toml': '[domains."a.example"]\naliases = "b.example"', 'b.toml': '[domains."b.example"]' })
        .length,
      1,
    );
  });

  it('in its two forms it is the same domain', () => {
    assert.equal(complaintsOf('[domains."bücher.example"]\n[domains."xn--bcher-kva.example"]').length, 1);
  });
});

describe('domains that share a next hop', () => {
  const domain = (name: string, names: string, nexthop = '[mx.example]:25') =>
    `[domains."${name}"]\nnexthop = "${nexthop}"\n[domains."${name}".incoming.delivery]\nrequire_tls = "always"\nlevel = "secure"\n${names}`;

  it('must agree on certificate_names; if not the error names both', () => {
    const [first, ...others] = complaintsOf({
      'a.toml': domain('a.example', 'certificate_names = "mx.example"'),
      'b.toml': domain('b.example', 'certificate_names = "other.example"', '[MX.example]:25'),
    });
    assert.deepEqual(others, []);
    assert.match(
      first ?? '',
      /^b\.toml: b\.example: incoming\.delivery\.certificate_names: .*a\.example in a\.toml.*\[mx\.example\]:25/u,
    );
  });

  it('may leave certificate_names to one of them', () => {
    assert.deepEqual(
      complaintsOf({
        'a.toml': domain('a.example', 'certificate_names = "mx.example"'),
        'b.toml': domain('b.example', ''),
      }),
      [],
    );
  });
});

describe('text that is no TOML', () => {
  const broken = (text: string) => {
    try {
      parseToml(text, 'a.toml');
    } catch (error) {
      assert.ok(error instanceof ComplaintError);
      return error.message;
    }
    return '';
  };

  it('is named with file and line', () => {
    assert.match(broken('[domains."a.example"]\n\nfoo = \n'), /^a\.toml:3: /u);
    assert.match(broken('[domains."a.example"\n'), /^a\.toml:1: /u);
    assert.match(broken('[a]\nb = 1\nb = 2\n'), /^a\.toml:3: /u);
  });

  it('is refused, not followed, when it nests deeply', () => {
    assert.match(broken(`a = ${'['.repeat(100_000)}`), /^a\.toml/u);
    assert.match(complaintsOf(`[${'a.'.repeat(50_000)}a]`).join(), /^a\.toml: a: unknown key$/u);
    assert.match(broken(`a = ${'{a='.repeat(10_000)}`), /^a\.toml/u);
  });
});
