/**
 * NIST's Public Key Interoperability Test Suite (PKITS 2011): certificate paths and revocation lists of somebody else, each named for
 * what RFC 5280 makes of it. Where we differ, the test is listed here with our reason, and {@link STRICTER} must be exact.
 *
 * Names tell the verdict, "ValidTwoCRLsTest7EE", but for tests of policies, whose verdict depends on what the reader asks for: those are
 * read and not judged.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { equalBytes } from '../../merkle/index.ts'
import { findCertificatePath } from '../../provenance/certificates/certificate-path.ts'
import { type Certificate, checkNotRevoked, parseCertificate, parseRevocationLists } from '../../provenance/index.ts'
import { CACHE, execute, type Part } from './program.ts'
import { missingPython, SOURCES } from './python.ts'

/** Within the validity of all that is to be valid: 2010 to 2030. */
const AT = Date.UTC(2020, 0, 1) / 1000

/** What is valid by RFC 5280 and refused here, by the code that it is refused with. */
const STRICTER: Readonly<Record<string, readonly string[]>> = {
  // DSA is no algorithm of ours.
  unsupported_algorithm: ['DSASignaturesTest4', 'DSAParameterInheritanceTest5'],
  // Names are compared as bytes, and not in any case, spacing and type.
  unknown_anchor: [
    'NameChainingCapitalizationTest5',
    'NameChainingWhitespaceTest3',
    'NameChainingWhitespaceTest4',
    'RolloverfromPrintableStringtoUTF8StringTest10',
    'UTF8StringCaseInsensitiveMatchTest11',
  ],
  // Constraints on policies are refused: nobody here has policies in certificates.
  unknown_critical_extension: [
    ...[1, 3, 5, 6, 9, 11, 12, 13, 14].map((number) => `PolicyMappingTest${number}`),
    'SelfIssuedrequireExplicitPolicyTest6',
    'inhibitAnyPolicyTest2',
    'inhibitPolicyMappingTest2',
    'inhibitPolicyMappingTest4',
  ],
  // More than three intermediates; and certificates that issued themselves are counted.
  certificate_path_too_long: [
    'SelfIssuedinhibitAnyPolicyTest7',
    'SelfIssuedinhibitAnyPolicyTest9',
    'SelfIssuedinhibitPolicyMappingTest7',
    'SelfIssuedpathLenConstraintTest15',
    'SelfIssuedpathLenConstraintTest17',
    'pathLenConstraintTest13',
    'pathLenConstraintTest14',
    'requireExplicitPolicyTest1',
    'requireExplicitPolicyTest2',
    'requireExplicitPolicyTest4',
  ],
  // Name constraints hold for certificates that issued themselves too.
  name_not_permitted: ['DNnameConstraintsTest19'],
  // No authority is a workload.
  certificate_is_ca: ['onlyContainsCACertsTest13', 'pathLenConstraintTest8'],
  // Partitioned lists.
  crl_unsupported: [
    'BasicSelfIssuedCRLSigningKeyTest6',
    'BasicSelfIssuedNewWithOldTest3',
    'BasicSelfIssuedNewWithOldTest4',
    'IDPwithindirectCRLTest22',
    'cRLIssuerTest28',
    'cRLIssuerTest29',
    ...[1, 4, 5, 7].map((number) => `distributionPointTest${number}`),
    'onlySomeReasonsTest18',
    'onlySomeReasonsTest19',
  ],
  // Lists of another issuer or key than the certificate's, and one with a negative serial number.
  crl_missing: [
    'BasicSelfIssuedOldWithNewTest1',
    'IDPwithindirectCRLTest24',
    'IDPwithindirectCRLTest25',
    'NegativeSerialNumberTest14',
    'SeparateCertificateandCRLKeysTest19',
    'cRLIssuerTest30',
    'cRLIssuerTest33',
  ],
  // Delta lists are left out: what one takes back from a complete list stays revoked …
  certificate_revoked: ['deltaCRLTest5'],
}
/** … and what only a delta list revokes is not. */
const LOOSER = ['deltaCRLTest4']

export async function runPkits({ report }: Pick<Part, 'report'>): Promise<void> {
  const why = await missingPython()
  if (why !== undefined) return report.skip('PKITS of NIST', `comes as a Python package: ${why}`)
  const directory = await report.step('pkits: fetches the certificates and lists at their pinned version', fetchData)
  if (directory === undefined) return
  await report.step(
    'pkits: each path and list is judged as its name says, but for the differences that are listed',
    () => judgeAll(directory),
  )
}

async function judgeAll(directory: string): Promise<void> {
  const files = await readdir(join(directory, 'certs'))
  const read = async (file: string) => parseCertificate(await readFile(join(directory, 'certs', file)))
  const authorities = await readable(files.filter((file) => !file.endsWith('EE.crt')).map(read))
  const lists = await readable(
    (await readdir(join(directory, 'crls'))).map(async (file) =>
      parseRevocationLists(await readFile(join(directory, 'crls', file))),
    ),
  )
  const root = await read('TrustAnchorRootCertificate.crt')

  const differences: string[] = []
  const stricter = new Map(Object.entries(STRICTER).flatMap(([code, names]) => names.map((name) => [name, code])))
  let judged = 0
  for (const file of files) {
    const [, verdict, name] = /^(Valid|Invalid)(.+)EE\.crt$/.exec(file) ?? []
    if (verdict === undefined || name === undefined) continue
    judged++
    const code = await refusal(() => read(file), { authorities, lists: lists.flat(), root })
    const expected = verdict === 'Valid' ? stricter.get(name) : LOOSER.includes(name) ? undefined : 'any code'
    const holds = expected === 'any code' ? code !== undefined : code === expected
    if (!holds) differences.push(`${file}: ${code ?? 'accepted'}, and not ${expected ?? 'accepted'}`)
  }
  // There are 203 whose name tells a verdict.
  if (judged < 200) differences.push(`only ${judged} tests`)
  if (differences.length > 0) throw new Error(differences.join('\n'))
}

interface World {
  readonly authorities: readonly Certificate[]
  readonly lists: Parameters<typeof checkNotRevoked>[1]
  readonly root: Certificate
}

/** The code that the leaf is refused with, by path or by list. */
async function refusal(readLeaf: () => Promise<Certificate>, { authorities, lists, root }: World) {
  try {
    const leaf = await readLeaf()
    const demands = { anchors: [root], at: [AT], requireKeyUsage: false, checkPurposes: () => {} }
    const path = await findCertificatePath(leaf, above(leaf, authorities, root), demands)
    await checkNotRevoked([leaf, ...path], lists, AT)
    return undefined
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.name === 'EvidenceError') return String(error.code)
    throw error
  }
}

/** What a sender of this leaf would send along: whatever may be above it, by name or by key. */
function above(leaf: Certificate, authorities: readonly Certificate[], root: Certificate): Certificate[] {
  const found = [leaf]
  // It grows while it is gone through.
  for (const below of found) {
    for (const each of authorities) {
      if (found.includes(each) || equalBytes(each.der, root.der)) continue
      const byKey = below.authorityKeyId?.keyId !== undefined && below.authorityKeyId.keyId === each.subjectKeyId
      if (byKey || equalBytes(each.subject, below.issuer)) found.push(each)
    }
  }
  return found.slice(1)
}

/** Some are not to be read at all: signatures that are cut short, numbers below zero. Their tests then find nothing, and say so. */
async function readable<T>(reading: readonly Promise<T>[]): Promise<T[]> {
  return (await Promise.allSettled(reading)).flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
}

async function fetchData(): Promise<string> {
  const directory = resolve(CACHE, 'pkits')
  const data = join(directory, 'cryptography_vectors', 'x509', 'PKITS_data')
  if (existsSync(join(data, 'crls'))) return data
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  const list = join(SOURCES, 'pkits.txt')
  const pip = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '-d', directory]
  const unpack = [
    'import sys, glob, zipfile',
    'archive = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])',
    'wanted = [n for n in archive.namelist() if "/PKITS_data/certs/" in n or "/PKITS_data/crls/" in n]',
    'archive.extractall(sys.argv[1], wanted)',
  ]
  for (const args of [
    [...pip, '-r', list],
    ['-c', unpack.join('\n'), directory],
  ]) {
    const { failure } = await execute({ command: 'python3', args, timeout: 300 })
    if (failure !== undefined) throw new Error(failure)
  }
  return data
}
