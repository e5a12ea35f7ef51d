/**
 * What is left of `../shared/vectors/domain` once whole pieces of evidence have been appraised: parts of evidence, forms that other Verifiers take it
 * in, roots, keys and lists. Each is held to what it is a part of.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { createPublicKey, type KeyObject, sign } from 'node:crypto'
import { describe, it } from 'node:test'
import { readCmw, recordsOf } from '../../clients/verifier/evidence/cmw.ts'
import { evidenceFormat } from '../../clients/verifier/evidence/formats.ts'
import { ccaPlatformClaims, realmClaims } from '../../clients/verifier/evidence/hardware/arm-claims.ts'
import { chainFrom, checkChain } from '../../clients/verifier/evidence/hardware/chain.ts'
import { readCollateral } from '../../clients/verifier/evidence/hardware/collateral.ts'
import type { CoseSign1 } from '../../clients/verifier/evidence/hardware/cose-sign1.ts'
import { verifyEndorsement } from '../../clients/verifier/evidence/hardware/oak/statement.ts'
import { AMD_ROOTS, AWS_NITRO_ROOTS, INTEL_ROOTS } from '../../clients/verifier/evidence/hardware/roots.ts'
import {
  checkPcrDigest,
  checkTpmSignature,
  decodeTpmQuote,
} from '../../clients/verifier/evidence/hardware/tpm/quote.ts'
import { concatBytes, fromHex, toHex, utf8 } from '../../merkle/index.ts'
import { decodePem } from '../../provenance/certificates/certificate.ts'
import { parseCredential } from '../../provenance/credential.ts'
import { parseJson } from '../../provenance/json.ts'
import { parseBundle } from '../../provenance/verification/trust.ts'
import { jwkThumbprint } from '../../statement/cose-key.ts'
import { parseVerificationJwk } from '../../statement/verification-jwk.ts'
import { newKeyPair } from '../key-pairs.ts'
import { readTextVector, readVector, vectorsMissing } from './shared-vectors.ts'

const skip = vectorsMissing
const seconds = (instant: string) => Date.parse(instant) / 1000
const file = (name: string) => readVector(`domain/${name}`)
const text = (name: string) => readTextVector(`domain/${name}`)
const json = (name: string) => JSON.parse(text(name))
const collateralOf = (...names: readonly string[]) => readCollateral(names.map(file))

describe('roots, intermediates and lists', { skip }, () => {
  it('the roots of vendors are those that are pinned', () => {
    const fingerprint = (name: string) => collateralOf(name).certificates[0]!.fingerprint
    assert.ok(AWS_NITRO_ROOTS.includes(fingerprint('aws-nitro/veracruz-aws_nitro_root_cert.pem')))
    assert.ok(INTEL_ROOTS.includes(fingerprint('sgx/intel-sgx-root-ca.der')))
    for (const line of ['Milan', 'Genoa', 'Turin']) {
      assert.equal(AMD_ROOTS.get(fingerprint(`sev-snp/virtee-${line.toLowerCase()}-ark.pem`)), line)
    }
    // Of RIM documents, which are not read: it is none of those that evidence may end at.
    assert.ok(!AMD_ROOTS.has(fingerprint('nvidia/sdk-rim_root.crt')))
  })

  it('AMD’s intermediates were issued by them, those of VLEKs too', () => {
    const pairs: [issued: string, given: string][] = [
      ['virtee-genoa-ask.pem', 'virtee-genoa-ark.pem'],
      ['virtee-turin-ask.pem', 'virtee-turin-ark.pem'],
      ['go-sev-guest-milanvlek.testcer', 'virtee-milan-ark.pem'],
    ]
    for (const [issued, given] of pairs) {
      const [intermediate] = collateralOf(`sev-snp/${issued}`).certificates
      const chain = chainFrom(intermediate!, collateralOf(`sev-snp/${given}`).certificates)
      assert.equal(chain.length, 2)
      assert.ok(AMD_ROOTS.has(chain[1]!.fingerprint))
      // A CA signs no evidence.
      const context = { roots: [...AMD_ROOTS.keys()], at: seconds('2025-01-01T00:00:00Z'), revocationLists: [] }
      assert.throws(() => checkChain(chain, context), { code: 'bad_certificate_chain' })
    }
  })

  it('Intel’s lists are signed by whom they name', () => {
    const [root] = collateralOf('sgx/intel-sgx-root-ca.der').certificates
    const [list] = collateralOf('tdx/go-tdx-guest-rootcrl.der').revocationLists
    assert.ok(list!.isSignedBy(root!))
    const [ofPlatforms] = collateralOf('tdx/go-tdx-guest-pckcrl').revocationLists
    assert.ok(!ofPlatforms!.isSignedBy(root!))
    assert.ok(ofPlatforms!.revoked.size > 0)
  })

  it('NVIDIA’s certificate of a device leads to no root alone', () => {
    const { certificates } = collateralOf('nvidia/trustee-hopper_signing_cert.pem')
    assert.throws(() => chainFrom(certificates[0]!, certificates), { code: 'missing_collateral' })
  })

  it('the keys of TPMs are public keys', () => {
    const { keys } = collateralOf('tpm/keylime-akpub.pem', 'tpm/keylime-ekpub.pem')
    assert.deepEqual(
      keys.map(({ asymmetricKeyType }) => asymmetricKeyType),
      ['rsa', 'rsa'],
    )
  })
})

describe('sev-snp: a report as Confidential Containers write it, in members', { skip }, () => {
  const little = (value: number, length: number) =>
    Uint8Array.from({ length }, (_, i) => Math.floor(value / 256 ** i) % 256)
  const tcb = ({ bootloader, tee, snp, microcode }: Record<string, number>) =>
    Uint8Array.of(bootloader!, tee!, 0, 0, 0, 0, snp!, microcode!)
  const version = ({ build, minor, major }: Record<string, number>) => Uint8Array.of(build!, minor!, major!, 0)

  it('holds under the certificate that comes with it, put together as the firmware gave it', async () => {
    const { attestation_report: said, cert_chain: chain } = json('sgx/trustee-e2e-evidence.json')
    const report = new Uint8Array(0x4a0)
    const parts: [at: number, content: Iterable<number>][] = [
      [0x00, concatBytes(little(said.version, 4), little(said.guest_svn, 4), little(said.policy, 8))],
      [0x10, [...said.family_id, ...said.image_id]],
      [0x30, concatBytes(little(said.vmpl, 4), little(said.sig_algo, 4), tcb(said.current_tcb))],
      [0x40, concatBytes(little(said.plat_info, 8), little(said.key_info, 4))],
      [0x50, [...said.report_data, ...said.measurement, ...said.host_data, ...said.id_key_digest]],
      [0x110, [...said.author_key_digest, ...said.report_id, ...said.report_id_ma]],
      [0x180, [...tcb(said.reported_tcb), said.cpuid_fam_id, said.cpuid_mod_id, said.cpuid_step]],
      [0x1a0, [...said.chip_id, ...tcb(said.committed_tcb), ...version(said.current), ...version(said.committed)]],
      [0x1f0, tcb(said.launch_tcb)],
      [0x2a0, [...said.signature.r, ...said.signature.s]],
    ]
    for (const [at, content] of parts) report.set([...content], at)
    const collateral = [Uint8Array.from(chain[0].data), file('sev-snp/genoa_ask_ark_asvk.pem')]
    const examination = { references: [], collateral, now: seconds('2026-01-01T00:00:00Z') }
    const { cases } = await evidenceFormat('sev-snp').examine(report, examination)
    assert.deepEqual(cases, ['mismatch', 'unknownTcb', 'undated', 'uncheckedRevocation'])
  })
})

describe('az-snp-vtpm and az-tdx-vtpm: quotes of the virtual TPM by themselves', { skip }, () => {
  const akIn = (report: Uint8Array): KeyObject => {
    const content = Buffer.from(report).toString('latin1')
    const { keys } = JSON.parse(content.slice(content.indexOf('{"keys"')).replace(/\0+$/, ''))
    const { kty, n, e } = keys.find(({ kid }: { kid: string }) => kid === 'HCLAkPub')
    return createPublicKey({ key: { kty, n, e }, format: 'jwk' })
  }
  const header = fromHex('0014000b0100')
  const check = (message: Uint8Array, signature: Uint8Array, pcrs: readonly Uint8Array[], key: KeyObject) => {
    const hash = checkTpmSignature(message, concatBytes(header, signature), key)
    checkPcrDigest(decodeTpmQuote(message), hash, { sha256: new Map(pcrs.map((pcr, i) => [i, pcr])) })
  }
  /** Rust's bincode: lengths of eight bytes, little-endian, before each part. */
  const parts = (bytes: Uint8Array) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    const signature = bytes.subarray(8, 8 + Number(view.getBigUint64(0, true)))
    const at = 8 + signature.length
    const message = bytes.subarray(at + 8, at + 8 + Number(view.getBigUint64(at, true)))
    const rest = bytes.subarray(at + 8 + message.length + 8)
    return { signature, message, pcrs: Array.from({ length: 24 }, (_, i) => rest.subarray(32 * i, 32 * i + 32)) }
  }

  for (const folder of ['az-snp-vtpm', 'az-tdx-vtpm']) {
    it(`${folder}: hold under the key that the paravisor tells, in Rust’s form and in JSON`, () => {
      const key = akIn(file(`${folder}/hcl-report.bin`))
      const { message, signature, pcrs } = json(`${folder}/tpm-quote-v1.json`)
      check(fromHex(message), fromHex(signature), pcrs.map(fromHex), key)
      const rust = parts(file(`${folder}/quote.bin`))
      check(rust.message, rust.signature, rust.pcrs, key)
      const others = [...rust.pcrs.slice(1), rust.pcrs[0]!]
      assert.throws(() => check(rust.message, rust.signature, others, key), { code: 'measurement_mismatch' })
    })
  }

  it('az-snp-vtpm: a message and its signature, each in a file, are of a machine whose key is not here', () => {
    const message = file('az-snp-vtpm/tpm-quote.msg')
    const signature = file('az-snp-vtpm/tpm-quote.sig')
    assert.equal(toHex(decodeTpmQuote(message).extraData), toHex(utf8('challenge')))
    for (const folder of ['az-snp-vtpm', 'az-tdx-vtpm']) {
      const key = akIn(file(`${folder}/hcl-report.bin`))
      const refused = { code: 'bad_evidence_signature' }
      assert.throws(() => checkTpmSignature(message, concatBytes(header, signature), key), refused)
    }
  })
})

describe('cca: claims without a token', { skip }, () => {
  const token = (name: string) => ({ payload: file(`arm-cca/${name}`) }) as unknown as CoseSign1

  it('those of a platform and of a realm are read', () => {
    const { measurements, implementationId } = ccaPlatformClaims(token('rust-ccatoken-platform-claims.cbor'))
    assert.ok(measurements['component:0'])
    assert.equal(implementationId.length, 32)
    assert.ok(realmClaims(token('rust-ccatoken-realm-claims.cbor')).measurements['RIM'])
  })

  it('those of a realm without a challenge are refused', () => {
    assert.throws(() => realmClaims(token('rust-ccatoken-realm-claims-missing-challenge.cbor')), /challenge/)
  })

  it('ids have the form that claims must have them in', () => {
    assert.equal(file('arm-cca/rust-ccatoken-impl-id.bin').length, 32)
    assert.equal(file('arm-cca/rust-ccatoken-inst-id.bin').length, 33)
    assert.equal(file('arm-cca/rust-ccatoken-inst-id.bin')[0], 1)
  })
})

describe('keys, wrappers and bundles', { skip }, () => {
  it('keys of Verifiers are read, with certificates beside them and without', () => {
    const { keys } = json('ear/trustee-expected-jwks.json')
    const [certificate] = collateralOf('ear/trustee-cert-chain.pem').certificates
    const certified = certificate!.publicKey.export({ format: 'jwk' })
    assert.equal(jwkThumbprint(parseVerificationJwk(keys[0])), jwkThumbprint(parseVerificationJwk(certified)))
    // A private key is no key of a Verifier; its public half is the one that Veraison signs with.
    const { kty, crv, x, y } = json('ear/veraison-pkey.json')
    const verifier = parseVerificationJwk(json('veraison/services-keys-verifier.jwk'))
    assert.equal(jwkThumbprint(parseVerificationJwk({ kty, crv, x, y })), jwkThumbprint(verifier))
  })

  it('a wrapper in a claim is read once it is taken out', () => {
    const { cmw } = json('cmw/ietf-eat-example-1.json')
    const labels = recordsOf(readCmw(utf8(JSON.stringify(cmw)))!).map(([label]) => label)
    assert.deepEqual(labels, ['attester A', 'attester B'])
  })

  it('bundles of X.509 authorities are PEM of certificates, or refused', () => {
    const read = (name: string) => decodePem(text(`spiffe/bundle_x509bundle-${name}.pem`))
    assert.equal(read('cert').length, 1)
    assert.equal(read('certs').length, 2)
    for (const name of ['corrupted', 'empty', 'not-pem']) {
      assert.throws(() => collateralOf(`spiffe/bundle_x509bundle-${name}.pem`), { code: 'malformed_collateral' }, name)
    }
  })

  it('sets of keys of one use have none for a bundle, with names or without', () => {
    for (const kind of ['bundle_jwtbundle', 'exp_bundle_witbundle']) {
      for (const name of ['jwks_valid_2', 'jwks_missing_kid']) {
        const set = parseBundle(parseJson(text(`spiffe/${kind}-${name}.json`)), 'example.org')
        assert.equal(set.tokenKeys.size, 0)
      }
    }
  })

  it('a token in a header field is the token', () => {
    const [field, token] = text('wimse/wit-header.txt').trim().split(': ')
    assert.equal(field, 'Workload-Identity-Token')
    assert.equal(parseCredential(utf8(token!)).subject.uri, 'wimse://example.com/specific-workload')
  })
})

describe('gcp-confidential-space: the endorsement of an image', { skip }, () => {
  it('signed by us, it says what the tokens measure, while it is valid', () => {
    const { publicKey, privateKey } = newKeyPair('ec', { namedCurve: 'P-256' })
    const statement = file('gcp-confidential-space/endorsement.json')
    const signed = { statement, signature: new Uint8Array(sign('sha256', statement, privateKey)) }
    const found = verifyEndorsement(signed, [publicKey], seconds('2025-07-01T00:00:00Z'))!
    const { container } = json('gcp-confidential-space/claims.json').submods
    assert.equal(`sha256:${found.digest}`, container.image_digest)
    assert.deepEqual(found.findings, [])
    const later = verifyEndorsement(signed, [publicKey], seconds('2026-03-01T00:00:00Z'))!
    assert.equal(later.findings[0]?.case, 'expiredCollateral')
  })
})
