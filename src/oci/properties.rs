//! What holds for every input.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn what_parses_prints_as_it_was(text in "[a-z0-9A-Z:._/-]{0,80}|(sha256:[0-9a-f]{64})|(sha512:[0-9a-f]{128})") {
        if let Ok(digest) = text.parse::<Digest>() {
            prop_assert_eq!(digest.to_string(), text.clone());
        }
        if let Ok(name) = text.parse::<RepositoryName>() {
            prop_assert_eq!(name.to_string(), text.clone());
        }
        if let Ok(reference) = text.parse::<Reference>() {
            prop_assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn what_parses_is_safe_in_a_path(text in any::<String>()) {
        let parsed = [
            text.parse::<Digest>().map(|digest| digest.to_string()).ok(),
            text.parse::<RepositoryName>().map(|name| name.to_string()).ok(),
            text.parse::<Tag>().map(|tag| tag.to_string()).ok(),
        ];
        for text in parsed.into_iter().flatten() {
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(!text.split('/').any(|part| matches!(part, "" | "." | "..")));
        }
    }

    #[test]
    fn a_selected_part_lies_inside(header in "(bytes=)?[0-9]{0,21}-?[0-9]{0,21}(,[0-9]-[0-9])?", length in any::<u64>()) {
        if let Selected::Part(range) = RangeRequest::parse(Some(&header)).select(length) {
            prop_assert!(range.start < range.end && range.end <= length);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_of_manifests_panic(bytes in any::<Vec<u8>>(), json in "[\\[\\]{}\",:a-zA-Z0-9]{0,200}") {
        let _ = Manifest::read(&bytes, None);
        let _ = Manifest::read(json.as_bytes(), Some(MediaType::OCI_INDEX));
    }
}
