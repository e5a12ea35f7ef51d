/**
 * A credential out of environment variables, and into those of a child: for programs that can do nothing else.
 *
 * The WIMSE architecture advises against it, and so does every reader here: an environment is inherited by all children, shows in
 * /proc and in crash reports, and never changes, so that a credential in it cannot be rotated. The private key never goes into one;
 * a path to it does.
 *
 * @module
 */
import { fromBase64, toBase64, utf8 } from '../../merkle/index.ts'
import { DeliveryError, readPrivateFile } from '../delivery/index.ts'
import { type Arrived, checkArrived, type Expected, type OwnCredential } from './credential.ts'
import { parseKey } from './directory.ts'

export const VARIABLES = {
  /** Compact JWS, or PEM. */
  credential: 'PROVLOG_WORKLOAD_CREDENTIAL',
  /** `.provlog` in base64. */
  bundle: 'PROVLOG_WORKLOAD_BUNDLE',
  /** JSON. */
  trustBundle: 'PROVLOG_WORKLOAD_TRUST_BUNDLE',
  /** Path of the private key, mode 0600. */
  keyFile: 'PROVLOG_WORKLOAD_KEY_FILE',
} as const

/** Linux takes 128 KiB for one variable, its name and `=` included. */
const MAX_VARIABLE_BYTES = 127 * 1024
const MAX_KEY_BYTES = 64 * 1024

export const ENVIRONMENT_WARNING =
  'credentials in environment variables are deprecated: children, /proc and crash reports have them, and they are never rotated'

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Loads a credential from the environment, and says to `warn` that it should not be there.
 *
 * @throws DeliveryError `no_delivery`, `too_large`, `malformed_delivery`, and those of `checkArrived` and of reading the key
 */
export async function loadFromEnvironment(
  env: Environment,
  expected: Expected,
  warn: (line: string) => void,
): Promise<OwnCredential> {
  const [text, bundle] = [env[VARIABLES.credential], env[VARIABLES.bundle]]
  if (text === undefined || bundle === undefined) {
    throw new DeliveryError('no_delivery', `${VARIABLES.credential} and ${VARIABLES.bundle} are not both set`)
  }
  warn(ENVIRONMENT_WARNING)
  const [trustBundle, keyFile] = [env[VARIABLES.trustBundle], env[VARIABLES.keyFile]]
  for (const value of [text, bundle, trustBundle ?? '']) checkLength(value)
  const arrived: Arrived = {
    text,
    bundle: decode(bundle),
    ...(trustBundle !== undefined && { trustBundle }),
    ...(keyFile !== undefined && { key: parseKey(await readPrivateFile(keyFile, MAX_KEY_BYTES)) }),
  }
  return checkArrived(arrived, expected)
}

/** The variables of a child. @throws DeliveryError `too_large` */
export function environmentFor({ text, bundle, trustBundle }: Arrived, keyFile?: string): Record<string, string> {
  const variables = {
    [VARIABLES.credential]: text,
    [VARIABLES.bundle]: toBase64(bundle),
    ...(trustBundle !== undefined && { [VARIABLES.trustBundle]: trustBundle }),
    ...(keyFile !== undefined && { [VARIABLES.keyFile]: keyFile }),
  }
  for (const value of Object.values(variables)) checkLength(value)
  return variables
}

function checkLength(value: string): void {
  if (utf8(value).length > MAX_VARIABLE_BYTES) {
    throw new DeliveryError(
      'too_large',
      'more than one environment variable holds: deliver by file or by the local API',
    )
  }
}

function decode(base64: string): Uint8Array {
  try {
    return fromBase64(base64)
  } catch {
    throw new DeliveryError('malformed_delivery', `${VARIABLES.bundle} is not base64`)
  }
}
