use super::*;
use netlink_packet_core::{NLM_F_ACK, NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::nftables::{NfTablesMessage, RuleAttribute, SetElementList};
use netlink_packet_netfilter::{NetfilterMessage, NetfilterMessageInner};
use proptest::prelude::*;

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::Ip), Just(Family::Ip6)]
}

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9-]{0,30}"
}

fn register() -> impl Strategy<Value = Register> {
    (0_u32..16).prop_map(|word| Register::at(word * 4))
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 1..=16)
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![Just(Verdict::Accept), Just(Verdict::Drop), Just(Verdict::Return), name().prop_map(Verdict::Jump),]
}

fn expression() -> impl Strategy<Value = Expression> {
    let header = prop_oneof![Just(Header::Network), Just(Header::Transport)];
    let how = prop_oneof![Just(Compare::Equal), Just(Compare::Unequal)];
    prop_oneof![
        (header, 0..80_u32, 1..=16_u32, register())
            .prop_map(|(header, offset, length, register)| Expression::Payload { header, offset, length, register }),
        register().prop_map(Expression::TransportProtocol),
        register().prop_map(Expression::IncomingInterfaceType),
        register().prop_map(Expression::ConntrackState),
        (any::<bool>(), register()).prop_map(|(of_incoming_interface, register)| Expression::DestinationType {
            of_incoming_interface,
            register
        }),
        (register(), bytes()).prop_map(|(register, mask)| Expression::Mask { register, mask }),
        (register(), how, bytes()).prop_map(|(register, how, value)| Expression::Compare { register, how, value }),
        (name(), register()).prop_map(|(set, register)| Expression::Lookup { set, register }),
        name().prop_map(Expression::Count),
        any::<u8>().prop_map(|code| Expression::Reject(RejectWith::Unreachable(code))),
        Just(Expression::Reject(RejectWith::TcpReset)),
        Just(Expression::Redirect),
        verdict().prop_map(Expression::Verdict),
    ]
}

fn base() -> impl Strategy<Value = BaseChain> {
    let kind = prop_oneof![Just(ChainKind::Filter), Just(ChainKind::Nat), Just(ChainKind::Other("route".to_owned()))];
    let hook = prop_oneof![
        Just(Hook::Prerouting),
        Just(Hook::Input),
        Just(Hook::Forward),
        Just(Hook::Output),
        Just(Hook::Other(4)),
    ];
    (kind, hook, any::<i32>(), any::<bool>()).prop_map(|(kind, hook, priority, drops)| BaseChain {
        kind,
        hook,
        priority,
        drops,
    })
}

fn key() -> impl Strategy<Value = Key> {
    let field =
        prop_oneof![Just(Field::Ipv4Address), Just(Field::Ipv6Address), Just(Field::Protocol), Just(Field::Port),];
    prop::collection::vec(field, 1..=5).prop_map(|fields| Key::of(&fields))
}

fn item() -> impl Strategy<Value = Item> {
    let keys = prop::collection::vec(bytes(), 1..20);
    let rule = (family(), name(), name(), prop::collection::vec(expression(), 0..8), "[ -~]{0,100}");
    prop_oneof![
        (family(), name(), "[ -~]{0,100}").prop_map(|(family, name, comment)| Item::Table {
            table: Table { family, name, comment },
            holds: 0,
            flags: 0
        }),
        (family(), name(), name(), prop::option::of(base()))
            .prop_map(|(family, table, name, base)| Item::Chain(Chain { family, table, name, base })),
        (family(), name(), name(), key(), any::<u32>()).prop_map(|(family, table, name, key, flags)| Item::Set(Set {
            family,
            table,
            name,
            key,
            flags
        })),
        (family(), name(), name(), any::<u64>(), any::<u64>()).prop_map(|(family, table, name, packets, bytes)| {
            Item::Counter(Counter { family, table, name, packets, bytes })
        }),
        rule.prop_map(|(family, table, chain, expressions, comment)| {
            Item::Rule(Rule { family, table, chain, expressions, comment })
        }),
        (family(), name(), name(), keys).prop_map(|(family, table, set, keys)| Item::Elements(Elements {
            family,
            table,
            set,
            keys
        })),
    ]
}

/// The statement that makes an item.
fn making(item: Item) -> Statement {
    match item {
        Item::Table { table, .. } => Statement::AddTable(table),
        Item::Chain(chain) => Statement::AddChain(chain),
        Item::Set(set) => Statement::AddSet(set),
        Item::Counter(counter) => Statement::AddCounter(counter),
        Item::Rule(rule) => Statement::AddRule(rule),
        Item::Elements(elements) => Statement::AddElements(elements),
        Item::Other => unreachable!("no statement makes it"),
    }
}

/// A batch as `netlink-packet-netfilter` reads it.
fn judged(mut bytes: &[u8]) -> Vec<(u32, bool, NfTablesMessage)> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let message = NetlinkMessage::<NetfilterMessage>::deserialize(bytes).expect("a message the judge can read");
        let mut again = vec![0; message.buffer_len()];
        message.serialize(&mut again);
        let length = message.header.length as usize;
        assert_eq!(again, bytes[..length], "the judge writes the same bytes");
        bytes = &bytes[length..];
        let acknowledged = message.header.flags & NLM_F_ACK != 0;
        if let NetlinkPayload::InnerMessage(NetfilterMessage {
            inner: NetfilterMessageInner::NfTables(inner), ..
        }) = message.payload
        {
            messages.push((message.header.sequence_number, acknowledged, inner));
        }
    }
    messages
}

proptest! {
    #[test]
    fn a_batch_decodes_to_what_it_was_made_of(items in prop::collection::vec(item(), 0..12), first in any::<u32>()) {
        let batch: Batch = items.iter().cloned().map(making).collect();
        let replies = replies(&batch.encode(first).unwrap()).unwrap();
        let decoded: Vec<_> = replies[1..replies.len() - 1].to_vec();
        let expected: Vec<_> = (1..)
            .zip(items)
            .map(|(number, item)| Reply::Item { sequence: first.wrapping_add(number), item, interrupted: false })
            .collect();
        prop_assert_eq!(decoded, expected);
    }

    #[test]
    fn an_independent_codec_reads_every_batch_alike(items in prop::collection::vec(item(), 1..8), first in any::<u32>()) {
        let batch: Batch = items.into_iter().map(making).collect();
        let messages = judged(&batch.encode(first).unwrap());
        prop_assert_eq!(messages.len(), batch.statements().len());
        for (sequence, acknowledged, _) in messages {
            prop_assert!(acknowledged);
            prop_assert!(batch.statement(first, sequence).is_some());
        }
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _whatever = replies(&bytes);
    }

    #[test]
    fn no_damage_to_a_batch_makes_decoding_panic(
        items in prop::collection::vec(item(), 1..5),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let batch: Batch = items.into_iter().map(making).collect();
        let mut bytes = batch.encode(0).unwrap();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        let _whatever = replies(&bytes);
    }
}

#[test]
fn a_rule_is_spelt_as_nft_spells_it() {
    let rule = Rule {
        family: Family::Ip,
        table: "t".to_owned(),
        chain: "c".to_owned(),
        expressions: vec![Expression::Verdict(Verdict::Drop)],
        comment: "x".to_owned(),
    };
    let batch: Batch = [Statement::AddRule(rule)].into_iter().collect();
    let messages = judged(&batch.encode(7).unwrap());
    let [(8, true, NfTablesMessage::NewRule(rule))] = messages.as_slice() else { panic!("{messages:?}") };
    assert!(rule.attributes.contains(&RuleAttribute::UserData(vec![0, 2, b'x', 0])), "{rule:?}");
}

#[test]
fn elements_are_spread_over_messages_that_hold_them() {
    let keys: Vec<_> = (0..2500_u32).map(|key| [key.to_be_bytes(); 6].concat()).collect();
    let elements = Elements { family: Family::Ip6, table: "t".to_owned(), set: "s".to_owned(), keys };
    for statement in [Statement::AddElements(elements.clone()), Statement::DeleteElements(elements)] {
        let batch: Batch = [statement].into_iter().collect();
        let lengths: Vec<_> = judged(&batch.encode(0).unwrap())
            .into_iter()
            .map(|(_, _, message)| match message {
                NfTablesMessage::NewSetElement(message) | NfTablesMessage::DeleteSetElement(message) => message,
                other => panic!("{other:?}"),
            })
            .flat_map(|message| message.attributes)
            .filter_map(
                |attribute| if let SetElementList::Elements(list) = attribute { Some(list.len()) } else { None },
            )
            .collect();
        assert_eq!(lengths, [1000, 1000, 500]);
    }
}

#[test]
fn a_name_that_fits_no_message_is_an_error_that_names_the_statement() {
    let batch: Batch = [Statement::DeleteTable { family: Family::Ip, name: "n".repeat(70_000) }].into_iter().collect();
    let error = batch.encode(0).unwrap_err().to_string();
    assert!(error.starts_with("deleting table ip nnn"), "{error}");
    assert_eq!(Request::Table { family: Family::Ip, name: "n".repeat(70_000) }.encode(0), None);
}

#[test]
fn a_failure_leads_back_to_its_statement() {
    let delete = |name: &str| Statement::DeleteTable { family: Family::Ip, name: name.to_owned() };
    let batch: Batch = [delete("a"), delete("b")].into_iter().collect();
    let first = u32::MAX;
    let error: Vec<u8> = [36_u32.to_ne_bytes(), [2, 0, 0, 0], 1_u32.to_ne_bytes(), [0; 4], (-2_i32).to_ne_bytes()]
        .concat()
        .into_iter()
        .chain([0; 16])
        .collect();
    let replies = replies(&error).unwrap();
    assert_eq!(replies, [Reply::Failed { sequence: 1, errno: 2 }]);
    assert_eq!(batch.statement(first, replies[0].sequence()), Some(&delete("b")));
    assert_eq!(batch.statement(first, first), None, "the batch's own begin");
    assert_eq!(batch.statement(first, 2), None, "the batch's own end");
}

#[test]
fn settings_outside_the_vocabulary_equal_nothing_of_ours() {
    use attribute::{Attributes, Writer};
    let mut inverted = Writer::default();
    inverted.text(1, "lookup").nested(2, |data| {
        data.text(1, "vips").number(2, 1).number(5, 1);
    });
    let bytes = inverted.finish().unwrap();
    assert_eq!(Expression::read(Attributes::new(&bytes)), Ok(Expression::Unknown("lookup".to_owned())));
}

#[test]
fn wide_registers_go_by_their_wide_number() {
    let numbers: Vec<_> = [0, 4, 8, 16, 20, 48, 60].map(|bytes| Register::at(bytes).0).to_vec();
    assert_eq!(numbers, [1, 9, 10, 2, 13, 4, 23]);
}
