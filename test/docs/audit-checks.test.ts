/**
 * The page of checks is what the code says.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import { auditChecksPage } from '../../scripts/docs/audit-checks.ts'

it('docs/audit-checks.md is what `npm run docs -- errors` makes of the catalogue', () => {
  assert.equal(readFileSync('docs/audit-checks.md', 'utf8'), auditChecksPage())
})
