package server

import (
	"google.golang.org/grpc"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
)

func (s *vaultService) WatchConnections(r *tokenvaultv1.WatchConnectionsRequest, stream grpc.ServerStreamingServer[tokenvaultv1.WatchConnectionsResponse]) error {
	wanted, err := statusFilter(r.GetStatus())
	if err != nil {
		return err
	}
	ctx := stream.Context()
	caller := callerFrom(ctx)
	changes := s.vault.Watch(ctx, vault.WatchRequest{
		Tenant:      caller.Tenant(),
		Subject:     r.GetSubject(),
		Provider:    r.GetProvider(),
		Status:      wanted,
		ResumeToken: r.GetResumeToken(),
		Visible:     func(k vault.Key) bool { return caller.MaySee(k.Subject, k.Provider) },
	})
	for change, err := range changes {
		if err != nil {
			return err
		}
		if err := stream.Send(changeOf(change)); err != nil {
			return err
		}
	}
	return nil
}

func changeOf(c vault.Change) *tokenvaultv1.WatchConnectionsResponse {
	resp := &tokenvaultv1.WatchConnectionsResponse{
		Event:       eventOf(c.Event),
		ResumeToken: c.ResumeToken,
		EventTime:   timestamp(c.Time),
	}
	if c.Event != vault.EventCheckpoint {
		resp.Connection = connection(c.Connection)
	}
	return resp
}

func eventOf(e vault.Event) tokenvaultv1.ConnectionEvent {
	switch e {
	case vault.EventCheckpoint:
		return tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_CHECKPOINT
	case vault.EventConnected:
		return tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_CONNECTED
	case vault.EventRefreshed:
		return tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_REFRESHED
	case vault.EventReauthorizationRequired:
		return tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_REAUTHORIZATION_REQUIRED
	case vault.EventDisconnected:
		return tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_DISCONNECTED
	case vault.EventAPIKeySet:
		return tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_API_KEY_SET
	case vault.EventAPIKeyDeleted:
		return tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_API_KEY_DELETED
	default:
		return tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_UNSPECIFIED
	}
}
