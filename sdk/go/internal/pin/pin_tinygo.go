//go:build wasip1 && tinygo

// Package pin keeps what the host is shown alive while it looks.
package pin

// A Pinner holds on to what is pinned: TinyGo has no runtime.Pinner, and its collector moves nothing. While it holds
// anything it is itself reachable from the package, as Go's is from the runtime: a binding that the host alone refers to
// stays.
type Pinner struct {
	held           []any
	previous, next *Pinner
}

var held Pinner

// Pin keeps what a pointer points to until Unpin.
func (p *Pinner) Pin(pointer any) {
	if len(p.held) == 0 {
		p.previous, p.next = &held, held.next
		if p.next != nil {
			p.next.previous = p
		}
		held.next = p
	}
	p.held = append(p.held, pointer)
}

// Unpin lets go of all.
func (p *Pinner) Unpin() {
	if len(p.held) == 0 {
		return
	}
	p.previous.next = p.next
	if p.next != nil {
		p.next.previous = p.previous
	}
	p.previous, p.next = nil, nil
	clear(p.held)
	p.held = p.held[:0]
}
