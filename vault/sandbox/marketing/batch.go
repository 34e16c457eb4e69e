package marketing

import (
	"errors"
	"maps"
)

func batchRoutes() []route {
	member := memberSchema("tags").requires("email_address", "status")
	batch := thing(map[string]schema{"members": array(member), "update_existing": boolean(), "sync_tags": boolean()}).requires("members")
	return []route{{"POST", "/lists/{list}", []string{"skip_merge_validation", "skip_duplicate_check"}, batch.root(), (*call).batchMembers}}
}

// batchMembers adds many members, and changes those who are there if it is asked
// to. What goes wrong with one does not keep the others.
func (c *call) batchMembers() (object, error) {
	l, err := c.list()
	if err != nil {
		return nil, err
	}
	members := arrayOf(c.body, "members")
	if len(members) > 500 {
		return nil, invalid(FieldError{"members", "A batch has 500 members at the most."})
	}
	existing := boolOf(c.body, "update_existing")
	created, updated, failed := []object{}, []object{}, []object{}
	for _, each := range members {
		body, _ := each.(object) // checked
		one := *c
		one.body = maps.Clone(body)
		email := textOf(one.body, "email_address")
		there := l.find(email)
		if there != nil && !existing {
			failed = append(failed, object{
				"email_address": email, "error": email + " is already a list member, do you want to update? please provide update_existing:true in the request body",
				"error_code": "ERROR_CONTACT_EXISTS", "field": "", "field_message": "",
			})
			continue
		}
		shown, err := one.oneOfBatch(l, there)
		var p *Problem
		switch {
		case errors.As(err, &p):
			failed = append(failed, object{"email_address": email, "error": p.Detail, "error_code": "ERROR_GENERIC", "field": "", "field_message": ""})
		case err != nil:
			return nil, err
		case there == nil:
			created = append(created, shown)
		default:
			updated = append(updated, shown)
		}
	}
	return object{
		"new_members": created, "updated_members": updated, "errors": failed, "total_created": len(created), "total_updated": len(updated),
		"error_count": len(failed), "_links": c.links("/lists/" + l.id),
	}, nil
}

func (c *call) oneOfBatch(l *list, there *member) (object, error) {
	if there == nil {
		return c.addMember()
	}
	if _, err := c.update(l, there); err != nil {
		return nil, err
	}
	for _, name := range textsOf(c.body, "tags") {
		c.tag(l, there, name)
	}
	return c.showMember(l, there), nil
}
