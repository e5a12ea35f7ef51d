/**
 * All targets by name.
 *
 * @module
 */
import type { Target } from '../engine.ts'
import { anchorTargets } from './anchors.ts'
import { evidenceTargets } from './evidence.ts'
import { merkleTargets } from './merkle.ts'
import { possessionTargets } from './possession.ts'
import { provenanceTargets } from './provenance.ts'
import { serverTargets } from './server.ts'
import { statementTargets } from './statement.ts'

/** Those whose name is in `names`; all, when there are none. Close each when done. */
export async function openTargets(names: readonly string[] = []): Promise<readonly Target[]> {
  const targets = [
    ...merkleTargets(),
    ...statementTargets(),
    ...provenanceTargets(),
    ...anchorTargets(),
    ...possessionTargets(),
    ...evidenceTargets(),
    ...(await serverTargets(names)),
  ]
  const unknown = names.find((name) => !targets.some((target) => target.name === name))
  if (unknown !== undefined) throw new Error(`no target ${unknown}: ${targets.map(({ name }) => name).join(', ')}`)
  return names.length === 0 ? targets : targets.filter(({ name }) => names.includes(name))
}
