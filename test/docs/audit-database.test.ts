/**
 * The page of the auditor's database is what the schema says.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import { auditDatabasePage } from '../../scripts/docs/audit-database.ts'

it('docs/audit-database.md is what `npm run docs -- errors` makes of the schema', () => {
  assert.equal(readFileSync('docs/audit-database.md', 'utf8'), auditDatabasePage())
})
