//! What holds for every input.

use proptest::{prelude::*, sample::Index};

use super::*;

/// A pair of key and value that an attacker may add.
fn pair() -> impl Strategy<Value = (String, String)> {
    let keys = ["layers", "Layers", "layer\u{17f}", "manifests", "config", "CONFIG", "subject", "mediaType", "blobs", "other"];
    let values = ["null", "[]", "2", r#""x/y""#, r#"{"layers":[]}"#];
    (prop::sample::select(keys.to_vec()), prop::sample::select(values.to_vec()))
        .prop_map(|(key, value)| (key.to_owned(), value.to_owned()))
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in any::<Vec<u8>>(), json in "[\\[\\]{}\",:a-zA-Z0-9]{0,200}", header in any::<String>()) {
        let _ = PushedManifest::read(&bytes, None);
        let _ = PushedManifest::read(json.as_bytes(), Some(&header));
    }

    #[test]
    fn no_damage_makes_the_reader_panic(damage in prop::collection::vec((any::<Index>(), any::<u8>()), 1..5), cut in any::<Index>()) {
        for document in [image(), index()] {
            let mut bytes = document.to_string().into_bytes();
            for (place, byte) in &damage {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            let _ = PushedManifest::read(&bytes, None);
            let _ = PushedManifest::read(&bytes[..cut.index(bytes.len())], Some(MediaType::OCI_MANIFEST));
        }
    }

    #[test]
    fn what_is_taken_is_the_same_for_a_reader_that_ignores_case(
        added in prop::collection::vec(pair(), 0..4),
        first in any::<bool>(),
    ) {
        let added_text = added.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect::<Vec<_>>().join(",");
        let image = image().to_string();
        let separator = if added.is_empty() { "" } else { "," };
        let text = if first {
            format!("{{{added_text}{separator}{}", &image[1..])
        } else {
            format!("{}{separator}{added_text}}}", &image[..image.len() - 1])
        };
        let own = ["schemaVersion", "mediaType", "config", "layers"].map(str::to_owned);
        let mut keys: Vec<_> = own.into_iter().chain(added.into_iter().map(|(key, _)| key)).collect();
        keys.retain(|key| key != "other");
        keys.iter_mut().for_each(|key| *key = key.replace('\u{17f}', "s").to_lowercase());
        keys.sort();
        let unique = keys.windows(2).all(|pair| pair[0] != pair[1]);
        if let Ok(manifest) = PushedManifest::read(text.as_bytes(), None) {
            prop_assert!(unique, "{text}");
            prop_assert_eq!(manifest.media_type.as_str(), MediaType::OCI_MANIFEST);
            prop_assert_eq!(manifest.references.len(), 3);
        }
    }
}
