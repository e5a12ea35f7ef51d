/**
 * Every command, in the order `provlog --help` lists them.
 *
 * @module
 */
import type { Command } from '../command.ts'
import { attesterMeasure, attesterReference } from './attester.ts'
import { auditChecks } from './audit-checks.ts'
import { auditCrossCheck } from './audit-cross-check.ts'
import { auditQuery } from './audit-query.ts'
import { auditReplay } from './audit-replay.ts'
import { auditReport } from './audit-report.ts'
import { auditRun } from './audit-run.ts'
import { issuerErase, logErase } from './erase.ts'
import { issuerAnchor } from './issuer-anchor.ts'
import { issuerDeny } from './issuer-deny.ts'
import { issuerGeneralize } from './issuer-generalize.ts'
import { issuerIssue } from './issuer-issue.ts'
import { issuerMigrate } from './issuer-migrate.ts'
import { issuerServe } from './issuer-serve.ts'
import { issuerStatus } from './issuer-status.ts'
import { keygen } from './keygen.ts'
import { logAuthorize } from './log-authorize.ts'
import { logBackup } from './log-backup.ts'
import { logFreeze } from './log-freeze.ts'
import { logFsck } from './log-fsck.ts'
import { logInit } from './log-init.ts'
import { logPolicy } from './log-policy.ts'
import { logRepair } from './log-repair.ts'
import { logRestore } from './log-restore.ts'
import { logRotate } from './log-rotate.ts'
import { logServe } from './log-serve.ts'
import { logStatus } from './log-status.ts'
import { monitor } from './monitor.ts'
import { proof, verifyProof } from './proof.ts'
import { issuerPublishPolicy, verifierPublishPolicy, verifierPublishReferenceValues } from './publish.ts'
import { issuerRetract, logRetract, verifierRetract } from './retract.ts'
import { submit } from './submit.ts'
import { trust } from './trust.ts'
import { vendorPublish } from './vendor-publish.ts'
import { verifierAppraise } from './verifier-appraise.ts'
import { verify } from './verify.ts'
import { verifyAnswerCommand } from './verify-answer.ts'
import { verifyEvidence } from './verify-evidence.ts'
import { workloadFetch } from './workload-fetch.ts'
import { workloadProve } from './workload-prove.ts'
import { workloadRun } from './workload-run.ts'

export const commands: readonly Command[] = [
  keygen,
  logInit,
  logServe,
  logAuthorize,
  logRotate,
  logPolicy,
  logErase,
  logRetract,
  logStatus,
  logBackup,
  logRestore,
  logFreeze,
  logFsck,
  logRepair,
  submit,
  proof,
  verifyProof,
  attesterMeasure,
  attesterReference,
  verifierPublishPolicy,
  verifierPublishReferenceValues,
  verifierAppraise,
  verifierRetract,
  vendorPublish,
  issuerPublishPolicy,
  issuerAnchor,
  issuerIssue,
  issuerGeneralize,
  issuerDeny,
  issuerServe,
  issuerStatus,
  issuerMigrate,
  issuerRetract,
  issuerErase,
  workloadFetch,
  workloadRun,
  workloadProve,
  trust,
  verify,
  auditRun,
  auditReplay,
  auditQuery,
  auditReport,
  verifyAnswerCommand,
  auditCrossCheck,
  auditChecks,
  monitor,
  verifyEvidence,
]
