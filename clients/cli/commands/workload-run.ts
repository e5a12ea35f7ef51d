/** `workload run`: starts a program with a credential in its environment, for programs that can take one in no other way. @module */
import { join } from 'node:path'
import { FILE_NAMES } from '../../delivery/index.ts'
import {
  ENVIRONMENT_WARNING,
  type Environment,
  environmentFor,
  loadFromDirectory,
  VARIABLES,
} from '../../workload/index.ts'
import type { Command, Exit } from '../command.ts'
import { readTrust } from '../log-access.ts'

export const workloadRun: Command = {
  name: 'workload run',
  summary: 'start a program with a credential in its environment (deprecated by WIMSE: prefer files or the local API)',
  positionals: { 'PROGRAM…': 'what to start, with its arguments; after -- where any begins with a dash' },
  flags: {
    directory: { value: 'DIR', about: 'where the credential was delivered', required: true },
    trust: { value: 'TRUST.json', about: 'start nothing unless this accepts the credential' },
  },

  async run(args, io) {
    const [program = '', ...rest] = args.positionals
    const directory = args.text('directory')
    const trust = args.optional('trust')
    const loaded = await loadFromDirectory(directory, {
      now: io.now(),
      ...(trust !== undefined && { trust: await readTrust(io, trust) }),
    })
    io.err(`${io.style('red', 'warning')}: ${ENVIRONMENT_WARNING}`)
    // Of the version that was read: the newest one may be for another key by the time that it is opened.
    const keyFile = loaded.key && join(directory, loaded.version, FILE_NAMES.key)
    // The program's own exit code, whatever it is: it has taken our place.
    return (await io.run(program, rest, { ...withoutOurs(io.env), ...environmentFor(loaded, keyFile) })) as Exit
  },
}

/** What we were started with ourselves belongs to another credential: its key, or its trust bundle, must not go on with this one. */
function withoutOurs(env: Environment): Environment {
  const names: readonly string[] = Object.values(VARIABLES)
  return Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)))
}
