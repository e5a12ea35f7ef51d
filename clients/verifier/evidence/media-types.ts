/**
 * Which format the media type of a wrapped message means.
 *
 *     application/eat+jwt; eat_profile="tag:github.com,2023:veraison/ear"     ear
 *     application/vnd.provlog.aws-nitro                                        aws-nitro: vendors have registered no types
 *
 * @module
 */
import { EAR_PROFILES } from '../../../provenance/index.ts'
import { EVIDENCE_FORMATS } from './formats.ts'
import { MEASURED_FILES_FORMAT, MEASURED_FILES_PROFILE } from './measured-files.ts'

/** CoAP content formats (IANA): EAT of RFC 9782 §6, PSA of RFC 9783 §10. */
const CONTENT_FORMATS: ReadonlyMap<number, string> = new Map([
  [263, 'application/eat+cwt'],
  [264, 'application/eat+jwt'],
  [266, 'application/eat-bun+json'],
  [10003, 'application/eat+cwt; eat_profile="tag:psacertified.org,2023:psa#tfm"'],
  [10004, 'application/eat+cwt; eat_profile="tag:psacertified.org,2019:psa#legacy"'],
])

/** By `eat_profile` (RFC 9782 §3), in lower case: the parameter is case-insensitive. */
const PROFILES: ReadonlyMap<string, string> = new Map(
  [
    ...EAR_PROFILES.map((profile): [string, string] => [profile, 'ear']),
    [MEASURED_FILES_PROFILE, MEASURED_FILES_FORMAT] as const,
    ['tag:psacertified.org,2023:psa#tfm', 'psa'] as const,
    // Of tokens of PSA_IOT_PROFILE_1.
    ['tag:psacertified.org,2019:psa#legacy', 'psa'] as const,
    ['http://arm.com/psa/2.0.0', 'psa'] as const,
    ['http://arm.com/CCA-SSD/1.0.0', 'cca'] as const,
    ['tag:arm.com,2023:cca_platform#1.0.0', 'cca'] as const,
    ['tag:arm.com,2024:cca_platform#2.0.0', 'cca'] as const,
  ].map(([profile, format]) => [profile.toLowerCase(), format]),
)

const TYPES: ReadonlyMap<string, string> = new Map([
  ['application/psa-attestation-token', 'psa'],
  ['application/eat-bun+json', 'nvidia-nras'],
])

const EAT = [
  'application/eat+jwt',
  'application/eat+cwt',
  'application/eat-jwt',
  'application/eat-cwt',
  'application/eat-collection',
]
const OWN = 'application/vnd.provlog.'

/** The name of the format; undefined where the type does not say. */
export function formatOfType(type: string | number): string | undefined {
  const text = typeof type === 'number' ? CONTENT_FORMATS.get(type) : type
  if (text === undefined) return undefined
  const [base = '', ...parameters] = text.split(';').map((part) => part.trim())
  const name = base.toLowerCase()
  if (TYPES.has(name)) return TYPES.get(name)
  if (name.startsWith(OWN)) return EVIDENCE_FORMATS.find((format) => format === name.slice(OWN.length))
  if (!EAT.includes(name)) return undefined
  const profiles = parameters.flatMap((parameter) => {
    // `profile` is what Veraison calls it.
    const [, value] = /^(?:eat_)?profile="?([^"]*)"?$/i.exec(parameter) ?? []
    return value === undefined ? [] : [value]
  })
  return profiles.length === 1 ? PROFILES.get(profiles[0]!.toLowerCase()) : undefined
}
