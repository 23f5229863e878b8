"""One question to one answer; what is asked comes from the network and may be anything."""

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from compiler.dataplane.dns.names import Names

LARGEST_UDP = 1232
"""What goes through every network without being cut up (dnsflagday.net/2020)."""

_VERSIONS = {dns.rdatatype.A: 4, dns.rdatatype.AAAA: 6}


def answer(query: bytes, names: Names, largest: int = LARGEST_UDP) -> bytes | None:
    """None for what is not the mesh's to answer; a name of the mesh has no other records than its addresses."""
    message = _read(query)
    if message is None or message.opcode() != 0 or len(message.question) != 1:
        return None
    question = message.question[0]
    addresses = names.find(question.name.to_text()) if question.rdclass == dns.rdataclass.IN else None
    if addresses is None:
        return None
    response = dns.message.make_response(message, recursion_available=True)
    response.flags |= dns.flags.AA
    version = _VERSIONS.get(question.rdtype)
    texts = [str(address) for address in addresses if address.version == version]
    if texts:
        response.answer.append(dns.rrset.from_text_list(question.name, names.ttl, "IN", question.rdtype, texts))
    return _write(response, largest)


def refuse(query: bytes) -> bytes | None:
    """That nobody could be asked; None for what is no question."""
    message = _read(query)
    if message is None:
        return None
    response = dns.message.make_response(message, recursion_available=True)
    response.set_rcode(dns.rcode.SERVFAIL)
    return bytes(response.to_wire())


def is_question(query: bytes) -> bool:
    """Whether it is worth passing on: a whole header, and not an answer."""
    return len(query) >= 12 and not query[2] & 0x80


def _read(query: bytes) -> dns.message.Message | None:
    try:
        return dns.message.from_wire(query) if is_question(query) else None
    except dns.exception.DNSException:
        return None


def _write(response: dns.message.Message, largest: int) -> bytes:
    """Cut off, and said to be so, where it is too long: the resolver then asks by TCP."""
    try:
        return bytes(response.to_wire(max_size=largest))
    except dns.exception.TooBig:
        response.answer.clear()
        response.flags |= dns.flags.TC
        return bytes(response.to_wire(max_size=largest))
