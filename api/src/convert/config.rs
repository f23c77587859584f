//! `HeraldConfig` as the numbers that liveness follows from.

use crate::herald_config::Liveness;
use herald_core::liveness::Profile;

impl From<Liveness> for Profile {
    fn from(liveness: Liveness) -> Self {
        match liveness {
            Liveness::Balanced => Self::BALANCED,
            Liveness::Fast => Self::FAST,
            Liveness::Virtual => Self::VIRTUAL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::herald_config::HeraldConfigSpec;

    #[test]
    fn a_profile_is_named_in_small_letters_and_balanced_if_none_is() {
        for (text, profile) in [
            ("{}", Profile::BALANCED),
            (r#"{"liveness":"balanced"}"#, Profile::BALANCED),
            (r#"{"liveness":"fast"}"#, Profile::FAST),
            (r#"{"liveness":"virtual"}"#, Profile::VIRTUAL),
        ] {
            let spec: HeraldConfigSpec = serde_json::from_str(text).unwrap();
            assert_eq!(Profile::from(spec.liveness), profile, "{text}");
        }
    }
}
