/**
 * What an issuance policy may speak of: the Cedar schema, which `docs/examples/provlog.cedarschema` repeats for editors.
 *
 * Only longs, strings, Booleans, sets and records, so that every context has one JSON text to hash and to seal. A member is
 * optional where there may be nothing to say; a policy must then ask `has` first, and the validator insists on it.
 *
 * @module
 */

export const ISSUANCE_SCHEMA = `// The facts that a provlog issuance policy decides on.
// Validate a policy: cedar validate --schema provlog.cedarschema --policies issuance-policy.cedar

// Who the credential is for. The id is the whole workload identifier: Workload::"spiffe://bank.example/payments".
entity Workload in [TrustDomain] = {
  "scheme": String,       // "spiffe" or "wimse"
  "trustDomain": String,
  "path": String,
};

// TrustDomain::"bank.example"
entity TrustDomain;

// Trustworthiness claims as AR4SI codes (2..31 affirming, 32..95 warning, 96..127 contraindicated; 0, 1, -1 none).
// Of several attestation results, the worst code of each.
type Claims = {
  "instanceIdentity"?: Long,
  "configuration"?: Long,
  "executables"?: Long,
  "fileSystem"?: Long,
  "hardware"?: Long,
  "runtimeOpaque"?: Long,
  "storageOpaque"?: Long,
  "sourcedData"?: Long,
};

action issue appliesTo {
  principal: [Workload],
  resource: [TrustDomain],
  context: {
    "attestation": {
      "results": Long,              // how many; 0 when the workload is not attested
      "tier": String,               // the worst: "affirming", "warning", "none", "contraindicated"
      "claims": Claims,
      "ageSeconds": Long,           // of the oldest result
      "keyAttested": Bool,          // every result binds the key that the credential is for
      "verifiers": Set<String>,     // workload identifiers of those who signed the results
      "policies": Set<String>,      // the appraisal policies they applied, by id
      "measurements": Set<String>,  // of the software, lower-case hex
    },
    "workload": {
      "measured": Bool,             // every measurement is of the thing that the provenance below is about
      "sbomFormats": Set<String>,   // "CycloneDX", "SPDX"; empty without a bill of materials
      "components": Set<String>,    // package URLs as in the bills of materials
      "packages": Set<String>,      // the same without version, qualifiers and subpath: any version of a package
      "builders": Set<String>,      // builder ids of build provenance
      "passed": Set<String>,        // compliance tests by result
      "failed": Set<String>,
      "vendor"?: String,
    },
    "credential": {
      "kind": String,               // "wit" or "wic"
      "lifetimeSeconds": Long,
      "audience": Set<String>,      // trust domains; empty when not restricted
    },
  },
};
`
