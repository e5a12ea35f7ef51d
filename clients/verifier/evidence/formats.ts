/**
 * The evidence formats that this version reads, by name.
 *
 * @module
 */
import { VerifierError } from '../error.ts'
import type { EvidenceFormat } from './format.ts'
import { cca, psa } from './hardware/arm.ts'
import { awsNitro } from './hardware/aws-nitro.ts'
import { azSnpVtpm, azTdxVtpm } from './hardware/azure/azure-vtpm.ts'
import { sgx, tdx } from './hardware/intel/intel.ts'
import { nvidiaGpu, nvidiaSwitch } from './hardware/nvidia/nvidia.ts'
import { oak } from './hardware/oak/oak.ts'
import { sevSnp } from './hardware/sev-snp.ts'
import { tpm2 } from './hardware/tpm/tpm.ts'
import { measuredFiles } from './measured-files.ts'
import { azureAttestation } from './results/azure-attestation.ts'
import { ear } from './results/ear.ts'
import { gcpConfidentialSpace } from './results/gcp-confidential-space.ts'
import { nvidiaNras } from './results/nvidia-nras.ts'

const ALL = [
  measuredFiles,
  awsNitro,
  sevSnp,
  tdx,
  sgx,
  tpm2,
  psa,
  cca,
  azSnpVtpm,
  azTdxVtpm,
  oak,
  nvidiaGpu,
  nvidiaSwitch,
  nvidiaNras,
  gcpConfidentialSpace,
  azureAttestation,
  ear,
]

const FORMATS: ReadonlyMap<string, EvidenceFormat> = new Map(ALL.map((format) => [format.name, format]))

export const EVIDENCE_FORMATS: readonly string[] = [...FORMATS.keys()]

/** @throws {@link VerifierError} `unknown_evidence_format` */
export function evidenceFormat(name: string): EvidenceFormat {
  const format = FORMATS.get(name)
  if (!format) {
    throw new VerifierError(
      'unknown_evidence_format',
      `${JSON.stringify(name)} is not one of: ${EVIDENCE_FORMATS.join(', ')}`,
    )
  }
  return format
}
