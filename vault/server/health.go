package server

import (
	"context"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"
)

func (s *Server) tellHealth(status grpc_health_v1.HealthCheckResponse_ServingStatus) {
	for name := range s.public.GetServiceInfo() {
		s.health.SetServingStatus(name, status)
	}
	s.health.SetServingStatus("", status)
}

// healthInterval is how often it is looked at whether the vault can do its work.
const healthInterval = time.Second

// watchAudit has health say so while the audit log cannot be written.
func (s *Server) watchAudit(ctx context.Context) {
	if s.audit == nil {
		return
	}
	ticker := time.NewTicker(healthInterval)
	defer ticker.Stop()
	was := error(nil)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		is := s.audit.Healthy()
		if (is == nil) == (was == nil) {
			continue
		}
		was = is
		if is != nil {
			s.tellHealth(grpc_health_v1.HealthCheckResponse_NOT_SERVING)
		} else {
			s.tellHealth(grpc_health_v1.HealthCheckResponse_SERVING)
		}
	}
}
