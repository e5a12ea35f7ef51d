import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import {
  type CertificateRequest,
  createAnchor,
  encodePem,
  issueCertificate,
  issueWit,
  spiffeBundle,
} from '../../clients/issuer/index.ts'
import { equalBytes, sha256, utf8 } from '../../merkle/index.ts'
import {
  decodeCompactJws,
  parseCertificate,
  parseCredential,
  parseTrust,
  verifyCredentialSignature,
} from '../../provenance/index.ts'
import { jwkThumbprint, kidOf, parsePrivateJwk, parseVerificationJwk, publicJwkOf } from '../../statement/index.ts'
import { authority, authorityKeyId, certify, keyId, uris } from '../certificates/authority.ts'
import { newKeyPair } from '../key-pairs.ts'
import { notRandom } from '../provenance/small-log.ts'
import { ED25519_JWK, ES256_JWK as issuer, OTHER_ES256_JWK as workload, X25519_JWK } from '../statement/fixtures.ts'

const NOW = 1_760_000_000
const TD = 'bank.example'
const SUBJECT = `spiffe://${TD}/payments`
const HOUR = 3600

const anchor = await createAnchor({ key: issuer, trustDomain: TD, now: NOW, random: notRandom('anchor') })
const certificate = (change: Partial<CertificateRequest> = {}) =>
  issueCertificate({
    anchor: anchor.der,
    key: issuer,
    subject: SUBJECT,
    workloadJwk: publicJwkOf(workload),
    serial: notRandom('serial')(16),
    notBefore: NOW,
    notAfter: NOW + HOUR,
    ...change,
  })

/** An authority of P-384, as organisations have them, and an intermediate of the issuer's under it. */
async function underAnIntermediate(life = 30 * 86_400) {
  const root = await certify('root', {
    kind: 'P-384',
    notBefore: NOW - HOUR,
    notAfter: NOW + life,
    extensions: authority(undefined, keyId('aa')),
  })
  const middle = await certify('intermediate', {
    issuer: root,
    notBefore: NOW - HOUR,
    notAfter: NOW + 60 * 86_400,
    extensions: authority(0, uris(`spiffe://${TD}`), keyId('bb'), authorityKeyId('aa')),
  })
  const key = parsePrivateJwk(await crypto.subtle.exportKey('jwk', middle.keys.privateKey))
  return { root: root.der, middle: middle.der, key }
}

/** What a relying party makes of the bundle of the trust domain. */
function anchorsOf(input: Parameters<typeof spiffeBundle>[0]) {
  const trust = parseTrust(
    JSON.stringify({
      logs: [],
      trustDomains: { [TD]: spiffeBundle(input) },
      issuers: [],
      verifiers: [],
      minimumTier: 'affirming',
    }),
  )
  return trust.trustDomains.get(TD)!
}
const anchors = anchorsOf({ anchors: [anchor.der], witKeys: [publicJwkOf(issuer)] })

const refused = (code: string) => ({ name: 'EvidenceError', code })

describe('issueWit', () => {
  const request = {
    subject: SUBJECT,
    workloadJwk: publicJwkOf(workload),
    jti: 'j'.repeat(22),
    issuedAt: NOW,
    expiresAt: NOW + HOUR,
  }

  it('makes a token that verifies by the bundle of its trust domain', async () => {
    const token = await issueWit({ ...request, issuer: `spiffe://${TD}/issuer` }, issuer)
    const credential = parseCredential(utf8(token))
    await verifyCredentialSignature(credential, anchors, NOW)
    assert.equal(credential.subject.uri, SUBJECT)
    assert.equal(credential.identifier, request.jti)
    assert.deepEqual([credential.notBefore, credential.notAfter], [NOW, NOW + HOUR])
    assert.equal(credential.keyThumbprint, jwkThumbprint(publicJwkOf(workload)))
    assert.ok(equalBytes(credential.digest, sha256(utf8(token))))
  })

  it('says all that the draft asks for: typ, kid, and the algorithm of the proofs of possession', async () => {
    const { header, payload } = decodeCompactJws(await issueWit(request, issuer))
    assert.deepEqual({ ...header }, { alg: 'ES256', kid: kidOf(issuer), typ: 'wit+jwt' })
    assert.equal(JSON.parse(payload).cnf.jwk.alg, 'ES256')
    const ed25519 = { ...request, subject: 'wimse://bank.example/payments', workloadJwk: publicJwkOf(ED25519_JWK) }
    assert.equal(JSON.parse(decodeCompactJws(await issueWit(ed25519, issuer)).payload).cnf.jwk.alg, 'EdDSA')
  })

  it('makes no WIT-SVID with EdDSA, which SPIFFE does not have (unsupported_key)', () => {
    assert.throws(
      () => issueWit({ ...request, workloadJwk: publicJwkOf(ED25519_JWK) }, issuer),
      refused('unsupported_key'),
    )
    assert.throws(() => issueWit(request, ED25519_JWK), refused('unsupported_key'))
  })

  it('never carries a private key', async () => {
    const token = await issueWit({ ...request, workloadJwk: workload }, issuer)
    assert.ok(!decodeCompactJws(token).payload.includes('"d"'))
  })

  it('lets extra claims in, and no second opinion about its own', async () => {
    const token = await issueWit({ ...request, extraClaims: { 'https://provlog.example/env': 'test' } }, issuer)
    assert.equal(JSON.parse(decodeCompactJws(token).payload)['https://provlog.example/env'], 'test')
    for (const extraClaims of [{ sub: 'spiffe://evil.example/x' }, { aud: 'anybody' }]) {
      assert.throws(() => issueWit({ ...request, extraClaims }, issuer), /not an extra claim/)
    }
  })

  it('refuses a subject that is no workload identifier, and a key that cannot sign', () => {
    assert.throws(
      () => issueWit({ ...request, subject: 'https://bank.example/x' }, issuer),
      refused('malformed_identifier'),
    )
    const encryptionOnly = { ...request, workloadJwk: publicJwkOf(X25519_JWK) }
    assert.throws(() => issueWit(encryptionOnly, issuer), refused('unsupported_key'))
  })
})

describe('createAnchor', () => {
  it('makes a certificate that may issue for one trust domain, directly, and for five years', () => {
    const { basicConstraints, keyUsage, uris, notBefore, notAfter, unprocessed } = parseCertificate(anchor.der)
    assert.deepEqual(basicConstraints, { ca: true, pathLength: 0 })
    assert.deepEqual(keyUsage, new Set(['keyCertSign', 'cRLSign']))
    assert.deepEqual(uris, [`spiffe://${TD}`])
    assert.deepEqual([notBefore, notAfter], [NOW, NOW + 5 * 365 * 86_400])
    assert.deepEqual(unprocessed, [])
  })

  it('refuses a name that is no trust domain', async () => {
    const request = { key: issuer, trustDomain: 'Bank.example', now: NOW, random: notRandom('anchor') }
    await assert.rejects(createAnchor(request), refused('malformed_identifier'))
  })
})

describe('issueCertificate', () => {
  for (const [name, key] of [
    ['P-256', workload],
    ['Ed25519', ED25519_JWK],
  ] as const) {
    it(`makes a certificate for a ${name} key that verifies by the bundle of its trust domain`, async () => {
      const credential = parseCredential(await certificate({ workloadJwk: publicJwkOf(key) }))
      await verifyCredentialSignature(credential, anchors, NOW + HOUR)
      assert.equal(credential.subject.uri, SUBJECT)
      assert.equal(credential.keyThumbprint, jwkThumbprint(publicJwkOf(key)))
      assert.deepEqual([credential.notBefore, credential.notAfter], [NOW, NOW + HOUR])
    })
  }

  it('verifies under an Ed25519 anchor too', async () => {
    const key = ED25519_JWK
    const { der } = await createAnchor({ key, trustDomain: TD, now: NOW, random: notRandom('anchor') })
    const credential = parseCredential(await certificate({ anchor: der, key }))
    await verifyCredentialSignature(credential, anchorsOf({ anchors: [der] }), NOW)
  })

  it('issues under an intermediate of another authority, for as long as all of them live', async () => {
    const { root, middle, key } = await underAnIntermediate()
    const request = { anchor: middle, above: [root], key }
    const leaf = await certificate(request)
    const file = utf8([leaf, middle].map(encodePem).join(''))
    await verifyCredentialSignature(parseCredential(file), anchorsOf({ anchors: [root] }), NOW)
    // By the intermediate's own dates it could be longer.
    await assert.rejects(certificate({ ...request, notAfter: NOW + 31 * 86_400 }), refused('lifetime_too_long'))
    await assert.rejects(certificate({ ...request, notBefore: NOW - 2 * HOUR }), refused('anchor_expired'))
  })

  for (const [name, jwk] of [
    ['P-384', newKeyPair('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' })],
    ['RSA', { ...newKeyPair('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' }), alg: 'PS256' }],
  ] as const) {
    it(`certifies a workload's key of ${name}, in both kinds of credential`, async () => {
      const workloadJwk = parseVerificationJwk(jwk)
      const request = { subject: SUBJECT, jti: 'j'.repeat(22), issuedAt: NOW, expiresAt: NOW + HOUR, workloadJwk }
      for (const bytes of [await certificate({ workloadJwk }), utf8(await issueWit(request, issuer))]) {
        const credential = parseCredential(bytes)
        await verifyCredentialSignature(credential, anchors, NOW)
        assert.equal(credential.keyThumbprint, jwkThumbprint(workloadJwk))
      }
    })
  }

  it('has a positive serial number of 16 bytes, whatever the random bytes were', async () => {
    for (const [byte, first] of [
      [0x00, '40'],
      [0xff, '7f'],
      [0x80, '40'],
    ] as const) {
      const { identifier } = parseCredential(await certificate({ serial: new Uint8Array(16).fill(byte) }))
      assert.equal(identifier?.length, 32)
      assert.equal(identifier?.slice(0, 2), first)
    }
  })

  it('names no subject but the URI, which is critical', async () => {
    const { subject, criticalAltName, uris } = parseCertificate(await certificate())
    assert.equal(subject.length, 2)
    assert.ok(criticalAltName)
    assert.deepEqual(uris, [SUBJECT])
  })

  it('keeps dates past 2050', async () => {
    const { der } = await createAnchor({
      key: issuer,
      trustDomain: TD,
      now: NOW,
      years: 40,
      random: notRandom('anchor'),
    })
    const notBefore = NOW + 35 * 365 * 86_400
    const { notAfter } = parseCertificate(await certificate({ anchor: der, notBefore, notAfter: notBefore + HOUR }))
    assert.equal(notAfter, notBefore + HOUR)
  })

  const bad: [what: string, code: string, change: Partial<CertificateRequest>][] = [
    ['an anchor of another key', 'anchor_mismatch', { key: workload }],
    ['another trust domain', 'anchor_mismatch', { subject: 'spiffe://shop.example/payments' }],
    ['an anchor that is not valid yet', 'anchor_expired', { notBefore: NOW - 1 }],
    ['an anchor that has ended', 'anchor_expired', { notBefore: anchor.notAfter + 1, notAfter: anchor.notAfter + 2 }],
    ['a life beyond its anchor', 'lifetime_too_long', { notAfter: anchor.notAfter + 1 }],
    ['a key that cannot sign', 'unsupported_key', { workloadJwk: publicJwkOf(X25519_JWK) }],
    ['two identifiers in one', 'malformed_identifier', { subject: `${SUBJECT},URI:spiffe://${TD}/admin` }],
  ]
  for (const [what, code, change] of bad) {
    it(`refuses ${what} (${code})`, async () => {
      await assert.rejects(certificate(change), refused(code))
    })
  }
})

const openssl = spawnSync('openssl', ['version']).status === 0
describe('OpenSSL', { skip: openssl ? false : 'SKIPPED: there is no openssl here' }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'provlog-x509-'))
  after(() => rmSync(directory, { recursive: true }))
  const save = (name: string, der: Uint8Array): string => {
    writeFileSync(join(directory, name), encodePem(der))
    return join(directory, name)
  }
  const anchorPath = save('anchor.pem', anchor.der)
  const verify = (path: string, purpose: string, ca = anchorPath) =>
    spawnSync(
      'openssl',
      ['verify', '-x509_strict', '-purpose', purpose, '-attime', String(NOW + 1), '-CAfile', ca, path],
      {
        encoding: 'utf8',
      },
    )

  for (const [name, key] of [
    ['P-256', workload],
    ['Ed25519', ED25519_JWK],
  ] as const) {
    it(`accepts a certificate for a ${name} key under its anchor, as client and as server`, async () => {
      const path = save(`${name}.pem`, await certificate({ workloadJwk: publicJwkOf(key) }))
      for (const purpose of ['sslclient', 'sslserver']) {
        const { status, stdout, stderr } = verify(path, purpose)
        assert.equal(status, 0, stdout + stderr)
      }
    })
  }

  it('accepts one under an intermediate of an authority of P-384', async () => {
    const { root, middle, key } = await underAnIntermediate()
    const path = save('leaf.pem', await certificate({ anchor: middle, above: [root], key }))
    const authorities = ['-CAfile', save('root.pem', root), '-untrusted', save('middle.pem', middle)]
    for (const purpose of ['sslclient', 'sslserver']) {
      const options = ['verify', '-x509_strict', '-purpose', purpose, '-attime', String(NOW + 1)]
      const { status, stdout, stderr } = spawnSync('openssl', [...options, ...authorities, path], { encoding: 'utf8' })
      assert.equal(status, 0, stdout + stderr)
    }
  })

  it('accepts it under no other anchor of the same name', async () => {
    const other = await createAnchor({ key: workload, trustDomain: TD, now: NOW, random: notRandom('other') })
    const { status } = verify(save('leaf.pem', await certificate()), 'sslclient', save('other.pem', other.der))
    assert.notEqual(status, 0)
  })

  it('reads what we wrote', async () => {
    const path = save('leaf.pem', await certificate())
    const text = execFileSync('openssl', ['x509', '-in', path, '-noout', '-text'], { encoding: 'utf8' })
    for (const line of [
      /Signature Algorithm: ecdsa-with-SHA256/,
      /Issuer: CN = bank\.example/,
      /Basic Constraints: critical\s+CA:FALSE/,
      /Key Usage: critical\s+Digital Signature\n/,
      /Extended Key Usage:\s+TLS Web Client Authentication, TLS Web Server Authentication/,
      /Subject Alternative Name: critical\s+URI:spiffe:\/\/bank\.example\/payments\n/,
      /Authority Key Identifier/,
      /Subject Key Identifier/,
    ]) {
      assert.match(text, line)
    }
  })
})
