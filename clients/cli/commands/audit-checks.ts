/** `audit checks`: what an audit can find. @module */
import { CHECKS, type CheckId, SEVERITIES } from '../../auditor/index.ts'
import { type Command, Exit } from '../command.ts'

export const auditChecks: Command = {
  name: 'audit checks',
  summary: 'what an audit can find: how bad it is, what it means, where that is laid down, and what to do',
  flags: {},

  async run(args, io) {
    const all = Object.entries(CHECKS).map(([id, description]) => ({ id: id as CheckId, ...description }))
    if (args.has('json')) {
      io.out(JSON.stringify(all))
      return Exit.ok
    }
    for (const severity of SEVERITIES) {
      for (const { id, meaning, spec, whatToDo } of all.filter((each) => each.severity === severity)) {
        io.out(`${io.style(severity === 'info' ? 'dim' : 'red', severity.padEnd(8))} ${io.style('bold', id)}`)
        for (const line of [meaning, whatToDo, spec]) io.out(`         ${line}`)
      }
    }
    return Exit.ok
  },
}
